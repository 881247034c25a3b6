//go:build !linux

package etcd

import "time"

// bootTime is the wall clock, which runs also while the machine is suspended. If
// it is set back, a session may end in etcd before it does here; a leased key
// only says who should try, so nothing is lost by that.
func bootTime() time.Duration { return time.Duration(time.Now().UnixNano()) }
