package config

import (
	"fmt"
	"strings"

	"github.com/talos-log/talos/talos"
)

// Faults are all that is wrong with a configuration. As an error it is of kind
// InvalidConfig.
type Faults []error

// Error tells all of them.
func (f Faults) Error() string {
	var b strings.Builder
	b.WriteString(f.Summary())
	for _, err := range f {
		b.WriteString("; " + err.Error())
	}
	return b.String()
}

// Summary says how many there are.
func (f Faults) Summary() string {
	if len(f) == 1 {
		return "the configuration has a fault"
	}
	return fmt.Sprintf("the configuration has %d faults", len(f))
}

// Is makes errors.Is(err, talos.InvalidConfig) work.
func (f Faults) Is(target error) bool { return target == talos.InvalidConfig }

// As gives talos.KindOf the kind.
func (f Faults) As(target any) bool {
	kind, ok := target.(*talos.Kind)
	if ok {
		*kind = talos.InvalidConfig
	}
	return ok
}

func (f Faults) orNil() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
