package storage

import (
	"fmt"
	"strings"
)

// maxIDLength bounds folder plus name, in bytes; file systems and object stores
// all take that.
const maxIDLength = 512

// Validate returns ErrInvalid, wrapped, if no store may take the id.
func (id ID) Validate() error {
	if err := ValidateFolder(id.Folder); err != nil {
		return err
	}
	if !validPart(id.Name) || len(id.Folder)+len(id.Name) > maxIDLength {
		return fmt.Errorf("%w: %q", ErrInvalid, id.String())
	}
	return nil
}

// ValidateFolder does the same for a folder; "" is the root.
func ValidateFolder(folder string) error {
	if folder == "" {
		return nil
	}
	for part := range strings.SplitSeq(folder, "/") {
		if !validPart(part) {
			return fmt.Errorf("%w: folder %q", ErrInvalid, folder)
		}
	}
	return nil
}

func validPart(s string) bool {
	if s == "" || s[0] == '.' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
