package process

import "syscall"

// ChildAttributes makes the kernel kill the child when the test process dies.
func ChildAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
