package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/talos-log/talos/cmd/talos/internal/config"
	"github.com/talos-log/talos/talos"
)

const (
	// httpEnv is the setting of the node itself, so that the command finds it in the
	// node's own environment, as in a container.
	httpEnv = "TALOS_SERVER_HTTP"
	// healthWords bounds what is shown of a page, in bytes.
	healthWords = 4 << 10
)

// newHealth is for health checks of one node where there is no curl. It asks /readyz,
// which is open: clients' tokens are not needed.
func newHealth() *cobra.Command {
	f := healthFlags{}
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask one node whether it serves, for health checks",
		Long: `Ask the HTTP port of one node whether it serves: what /readyz says, with exit
code 0 if it does, and 4 if not. It is for health checks where there is no curl,
as in the image that holds the binary alone; "talos cluster status" tells of all nodes.`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	cmd.Flags().StringVar(&f.address, "http", "",
		"`HOST:PORT` of its HTTP port (default "+config.Defaults().HTTP+", or the environment's "+httpEnv+")")
	cmd.Flags().DurationVar(&f.timeout, "timeout", defaultTimeout, "wait up to `DURATION` for an answer")
	f.secure.addTLS(cmd.Flags())
	return cmd
}

// unready is what a node says that does not serve.
type unready string

func (u unready) Error() string { return string(u) }

func (u unready) Unwrap() error { return talos.NotServing }

type healthFlags struct {
	address string
	timeout time.Duration
	secure  secureFlags
}

func (f *healthFlags) run(ctx context.Context, out io.Writer) error {
	if f.timeout <= 0 {
		return &usageError{text: fmt.Sprintf("--timeout %s: want more than 0", f.timeout)}
	}
	address, err := healthAddress(f.address)
	if err != nil {
		return err
	}
	secure, err := f.secure.config()
	if err != nil {
		return unusable(err)
	}
	scheme := "http"
	if secure != nil {
		scheme = "https"
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address+"/readyz", http.NoBody)
	if err != nil {
		return &usageError{text: fmt.Sprintf("--http %s: %v", address, err)}
	}
	// No proxy: it is this machine, or one beside it.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: secure, DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return &hintedError{
			&talos.Error{Kind: talos.Unavailable, Op: "cli.health", Cause: err},
			"check that a node runs there, and --http; with TLS give --tls-ca",
		}
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	words, err := io.ReadAll(io.LimitReader(answer.Body, healthWords))
	if err != nil {
		return &talos.Error{Kind: talos.Unavailable, Op: "cli.health", Cause: err}
	}
	text := strings.TrimSpace(string(words))
	if answer.StatusCode != http.StatusOK {
		return unready(strings.ReplaceAll(text, "\n", "; "))
	}
	_, err = fmt.Fprintln(out, text)
	return err
}

// healthAddress is where to ask; a node that listens everywhere is asked on loopback.
func healthAddress(given string) (string, error) {
	address := either(given, httpEnv)
	if address == "" {
		address = config.Defaults().HTTP
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", &usageError{text: fmt.Sprintf("--http %s: %v", address, err)}
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}
