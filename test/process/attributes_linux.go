package process

import "syscall"

// ChildAttributes makes the kernel kill the child when this process dies. The
// child has a process group of its own, so that Ctrl-C in a terminal does not
// reach it: it is told to end when we choose.
func ChildAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
