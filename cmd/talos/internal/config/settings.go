package config

import (
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/talos-log/talos/cmd/talos/internal/stores"
)

// envPrefix begins the name of each variable: limits.long_polls is
// TALOS_SERVER_LIMITS_LONG_POLLS.
const envPrefix = "TALOS_SERVER_"

// Setting is one key of a Config.
type Setting struct {
	// Key is the path of the key, with dots.
	Key string
	// Flag is the flag's name; empty if there is none. Arg is what its help calls
	// the value.
	Flag, Arg string
	// Doc says what it means.
	Doc     string
	example string
	secret  string
	field   reflect.Value
}

// Settings returns the keys of c in the order of its fields.
func Settings(c *Config) []Setting { return settings("", reflect.ValueOf(c).Elem()) }

func settings(prefix string, v reflect.Value) []Setting {
	var all []Setting
	for field, value := range v.Fields() {
		key := prefix + field.Tag.Get("yaml")
		if value.Kind() == reflect.Struct {
			all = append(all, settings(key+".", value)...)
			continue
		}
		all = append(all, Setting{
			Key: key, Flag: field.Tag.Get("flag"), Arg: field.Tag.Get("arg"), Doc: strings.ReplaceAll(field.Tag.Get("doc"), "<forms>", stores.Forms),
			example: field.Tag.Get("example"), secret: field.Tag.Get("secret"), field: value,
		})
	}
	return all
}

// Env is the name of the setting's environment variable.
func (s Setting) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
}

// IsBool tells whether the value is true or false.
func (s Setting) IsBool() bool { return s.field.Kind() == reflect.Bool }

// IsList tells whether the value is a list.
func (s Setting) IsList() bool {
	_, list := s.field.Interface().([]string)
	return list
}

// kind is what the value is, for the reference page.
func (s Setting) kind() string {
	switch s.field.Interface().(type) {
	case []string:
		return "list"
	case bool:
		return "true or false"
	case int:
		return "number"
	case Bytes:
		return "bytes"
	case time.Duration:
		return "duration"
	default:
		return "text"
	}
}

// Text returns the value as it is written in a file; lists with commas.
func (s Setting) Text() string {
	switch v := s.field.Interface().(type) {
	case []string:
		return strings.Join(v, ",")
	case time.Duration:
		return shortDuration(v)
	case encoding.TextMarshaler:
		text, err := v.MarshalText()
		if err != nil {
			return err.Error()
		}
		if _, level := v.(slog.Level); level {
			return strings.ToLower(string(text))
		}
		return string(text)
	default:
		return fmt.Sprint(v)
	}
}

// shortDuration leaves out zeros: 1m, not 1m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Shown is Text with what is secret masked.
func (s Setting) Shown() string {
	text := s.Text()
	switch {
	case text == "":
		return ""
	case s.secret == "true":
		return stores.Masked
	case s.secret == "url":
		return stores.Mask(text)
	default:
		return text
	}
}

// Check tells whether the setting takes the text; it changes nothing.
func (s Setting) Check(text string) error {
	s.field = reflect.New(s.field.Type()).Elem()
	return s.set(text)
}

// set gives the setting the value of a text; strings may be empty.
func (s Setting) set(text string) error {
	switch p := s.field.Addr().Interface().(type) {
	case *string:
		*p = text
	case *[]string:
		*p = nil
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				*p = append(*p, part)
			}
		}
	case *bool:
		if text != "true" && text != "false" {
			return errors.New("want true or false")
		}
		*p = text == "true"
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return errors.New("want a whole number")
		}
		*p = n
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return errors.New("want a duration with its unit: 500ms, 30s, 5m")
		}
		*p = d
	case *slog.Level:
		if p.UnmarshalText([]byte(text)) != nil {
			return errors.New("want debug, info, warn or error")
		}
	case encoding.TextUnmarshaler:
		return p.UnmarshalText([]byte(text))
	default:
		return fmt.Errorf("a fault of Talos: no values of type %T", p)
	}
	return nil
}
