package process_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/test/process"
)

// addressesEnv makes this test binary a process that asks for addresses, and keeps
// them until its standard input ends.
const addressesEnv = "PROCESS_TEST_ADDRESSES"

// addressesPerProcess are so many that two processes that know nothing of each
// other would be given some address twice, once in 10^13 runs not.
const addressesPerProcess = 800

func giveAddresses() int {
	for range addressesPerProcess {
		address, err := process.FreeAddress()
		if err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println(address)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// An address is given away long before somebody listens there, and stays its
// owner's while what listened there is dead.
func TestNoAddressIsGivenAwayTwice(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	owner := map[string]int{}
	for n := range 2 {
		child := exec.CommandContext(context.Background(), self)
		child.Env = append(os.Environ(), addressesEnv+"=1")
		words, err := child.StdoutPipe()
		require.NoError(t, err)
		hold, err := child.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		t.Cleanup(func() {
			require.NoError(t, hold.Close())
			require.NoError(t, child.Wait())
		})
		lines := bufio.NewScanner(words)
		for range addressesPerProcess {
			require.True(t, lines.Scan())
			address := lines.Text()
			require.True(t, strings.HasPrefix(address, "127.0.0.1:"), address)
			before, given := owner[address]
			require.False(t, given, "%s was given to process %d, and to %d", address, before, n)
			owner[address] = n
		}
	}
}
