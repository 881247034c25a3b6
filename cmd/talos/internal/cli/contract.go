package cli

import (
	"fmt"
	"reflect"
	"strings"
)

// jsonContract is the annotation under which a command keeps the description of
// its JSON output.
const jsonContract = "json"

// contract describes the JSON of a struct by its json and doc tags, as a
// Markdown table. Nested structs are described as "field.inner" or
// "field[].inner".
func contract(v any) string {
	return "| field | type | meaning |\n|---|---|---|\n" + rows("", reflect.TypeOf(v))
}

func rows(prefix string, t reflect.Type) string {
	var b strings.Builder
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		meaning := field.Tag.Get("doc")
		if strings.Contains(options, "omitempty") {
			meaning += " (left out if there is none)"
		}
		kind, inner := jsonType(field.Type)
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", prefix+name, kind, meaning)
		if inner != nil {
			suffix := "."
			if kind == "array" {
				suffix = "[]."
			}
			b.WriteString(rows(prefix+name+suffix, inner))
		}
	}
	return b.String()
}

// jsonType names what encoding/json makes of t, and returns the struct in it.
func jsonType(t reflect.Type) (name string, inner reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer:
		name, inner = jsonType(t.Elem())
		return name + " or null", inner
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "base64 string", nil
		}
		_, inner = jsonType(t.Elem())
		return "array", inner
	case reflect.Struct:
		return "object", t
	case reflect.String:
		return "string", nil
	default:
		return "number", nil
	}
}
