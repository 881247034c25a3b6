package segment

import (
	"context"
	"errors"
)

// Content says what there is of a segment beyond its name.
type Content struct {
	Header
	// Begun is false if the segment ends inside of its header frame: whoever
	// created it never got to know that it exists. Header is empty then.
	Begun bool
	// Used is true if anything was written behind the header frame, whole or not.
	Used bool
}

// Examine reads the segment's header frame, and whether anything follows it
// within size. It fails like ReadHeader, but not for a segment that is too short.
func Examine(ctx context.Context, src Source, size int64, id string) (Content, error) {
	opened, _, _, err := open(ctx, src)
	var d *damage
	if errors.As(err, &d) && (d.flaw == cutHeader || d.flaw == cutFrame) {
		return Content{}, nil
	}
	if err != nil {
		return Content{}, failure("segment.Examine", id, err)
	}
	return Content{Header: opened.Header, Begun: true, Used: size > opened.HeadSize}, nil
}
