package process

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProcessorTimeIsReadBehindTheProgramsName(t *testing.T) {
	n, err := parseTicks("42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0")
	require.NoError(t, err)
	require.EqualValues(t, 200, n)
	_, err = parseTicks("42 (a) S 1")
	require.ErrorContains(t, err, "too few fields")
}

func TestMemoryIsReadFromItsField(t *testing.T) {
	n, err := parseKiB("Name:\tx\nVmHWM:\t  1024 kB\nVmRSS:\t 512 kB\n", "VmHWM:")
	require.NoError(t, err)
	require.EqualValues(t, 1<<20, n)
	_, err = parseKiB("Name:\tx\n", "VmRSS:")
	require.EqualError(t, err, "no VmRSS:")
}

func TestTheMachineIsNotBusyWhileItWaits(t *testing.T) {
	n, err := parseBusy("cpu  10 20 30 4000 5000 6 7 8000 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n")
	require.NoError(t, err)
	require.EqualValues(t, 10+20+30+6+7, n)
	_, err = parseBusy("intr 1")
	require.Error(t, err)
}
