//go:build unix && !linux

package hadoop

import "syscall"

// childAttributes: this system can't tie a child's life to its parent's.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
