package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// format is how a command prints data.
type format string

const (
	formatText format = "text"
	formatJSON format = "json"
)

// String, Set and Type make it a flag.
func (f *format) String() string { return string(*f) }

// Set takes one of the formats.
func (f *format) Set(s string) error {
	switch format(s) {
	case formatText, formatJSON:
		*f = format(s)
		return nil
	default:
		return fmt.Errorf("want %s or %s", formatText, formatJSON)
	}
}

// Type is what help texts call the value.
func (f *format) Type() string { return "text|json" }

// outputFlag adds -o. printed is the type that the command prints as JSON: its
// fields' doc tags are the contract that docs/cli.md shows.
func outputFlag(cmd *cobra.Command, printed any) *format {
	f := formatText
	cmd.Flags().VarP(&f, "output", "o", "output format; docs/cli.md describes the JSON")
	cmd.Annotations = map[string]string{jsonContract: contract(printed)}
	return &f
}

// printJSON writes one value on one line.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
