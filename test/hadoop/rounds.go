package hadoop

import "os"

// Long asks for many rounds of what can befall an HDFS: see `make hdfs-long`.
func Long() bool { return os.Getenv("TALOS_HDFS_LONG") != "" }

// Rounds is how often a test does its thing: few times, unless many are asked for.
func Rounds(few, many int) int {
	if Long() {
		return many
	}
	return few
}
