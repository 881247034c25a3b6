package main

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/talos-log/talos/test/certs"
)

// The test binary is also the program: scripts and tests run it as a process of
// its own, under the name talos.
func TestMain(m *testing.M) {
	if err := os.Setenv("GORACE", raceOptions); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"talos": main})
}

// raceOptions keep each short process from lingering for a second at its end, as
// the race detector has it.
const raceOptions = "atexit_sleep_ms=20"

// TestScripts runs testdata/*.txtar. Besides testscript's commands there are:
//
//	node start ARGS...   starts `talos dev` on free ports, waits until it serves,
//	                     and sets TALOS_SERVER and PAGES to where it listens, and
//	                     ADDRESS to host:port of the latter
//	node stop            ends it with SIGINT; it must exit with 0
//	node kill            ends it with SIGKILL
//	exits CODE CMD...    runs a command that must end with this exit code
//	bytes FILE "TEXT"    writes a file; TEXT is quoted as in Go
//	certificates         makes ca.pem, node.pem, node-key.pem, client.pem and
//	                     client-key.pem; stranger.pem is another authority
//	fetch URL            gets a page; its status must be 200
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Values["node"] = &scriptNode{}
			env.Setenv("GORACE", raceOptions)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"node":  cmdNode,
			"exits": cmdExits,
			"bytes": cmdBytes,
			"fetch": cmdFetch,
			"certificates": func(ts *testscript.TestScript, _ bool, _ []string) {
				makeCertificates(t, ts)
			},
		},
	})
}

func makeCertificates(t *testing.T, ts *testscript.TestScript) {
	authority := certs.NewAuthority(t)
	for name, a := range map[string]*certs.Authority{"ca.pem": authority, "stranger.pem": certs.NewAuthority(t)} {
		text, err := os.ReadFile(a.File())
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(name), text, 0o600))
	}
	pair := func(name string) certs.Pair {
		return certs.Pair{Certificate: ts.MkAbs(name + ".pem"), Key: ts.MkAbs(name + "-key.pem")}
	}
	authority.IssueTo(pair("node"), certs.Server("127.0.0.1"))
	authority.IssueTo(pair("client"), certs.Client("client"))
}

// scriptNode is the node of one script.
type scriptNode struct{ *devNode }

func cmdNode(ts *testscript.TestScript, _ bool, args []string) {
	n, _ := ts.Value("node").(*scriptNode)
	switch args[0] {
	case "start":
		var err error
		n.devNode, err = startDev(ts.MkAbs("."), args[1:]...)
		ts.Check(err)
		node := n.devNode
		ts.Defer(node.kill)
		ts.Setenv("TALOS_SERVER", node.rpc)
		ts.Setenv("PAGES", node.pages)
		_, address, _ := strings.Cut(node.pages, "//")
		ts.Setenv("ADDRESS", address)
	case "stop":
		ts.Check(n.stop())
	case "kill":
		n.kill()
	default:
		ts.Fatalf("node %s: start, stop or kill", args[0])
	}
}

func cmdExits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

func cmdBytes(ts *testscript.TestScript, _ bool, args []string) {
	text, err := strconv.Unquote(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

func cmdFetch(ts *testscript.TestScript, _ bool, args []string) {
	answer, err := http.Get(args[0])
	ts.Check(err)
	defer answer.Body.Close() //nolint:errcheck // it was only read
	_, err = io.Copy(ts.Stdout(), answer.Body)
	ts.Check(err)
	if answer.StatusCode != http.StatusOK {
		ts.Fatalf("%s: %s", args[0], answer.Status)
	}
}

// devNode is a running `talos dev`.
type devNode struct {
	cmd        *exec.Cmd
	rpc, pages string
	log        strings.Builder
	waited     bool
}

// startDev returns when the node serves.
func startDev(dir string, args ...string) (*devNode, error) {
	args = append([]string{"dev", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"}, args...)
	n := &devNode{cmd: exec.Command("talos", args...)}
	n.cmd.Dir = dir
	n.cmd.Stderr = &n.log
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) >= 2 && fields[0] == "clients":
			n.rpc = fields[1]
		case len(fields) >= 2 && fields[0] == "pages":
			n.pages = fields[1]
		case len(fields) >= 2 && fields[1] == "consume":
			// The last line that it prints.
			return n, nil
		}
	}
	n.kill()
	return nil, errors.New("talos dev did not start: " + n.log.String())
}

// stop ends the node as Ctrl-C does.
func (n *devNode) stop() error {
	if err := n.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return err
	}
	n.waited = true
	if err := n.cmd.Wait(); err != nil {
		return errors.New(err.Error() + ": " + n.log.String())
	}
	return nil
}

// kill ends the node with SIGKILL; it may be called again, and after stop.
func (n *devNode) kill() {
	if n.waited {
		return
	}
	n.waited = true
	// It may have ended by itself, and does not exit with 0 in any case.
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
}
