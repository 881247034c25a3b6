//go:build unix && !linux

package process

import "syscall"

// ChildAttributes: this system can't tie a child's life to its parent's.
func ChildAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
