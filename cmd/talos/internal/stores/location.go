package stores

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/talos-log/talos/talos"
)

// Masked stands for a secret.
const Masked = "********"

// Check tells whether Open takes the location: its scheme and its syntax. It
// connects to nothing. The error is InvalidConfig, and shows no secret.
func Check(location string) error {
	_, err := parse(location)
	return err
}

// parse returns the location as a URL; one without a scheme is a path.
func parse(location string) (*url.URL, error) {
	u, err := url.Parse(location)
	if err != nil {
		return nil, invalid(location, "it can't be read as a URL: "+whyUnreadable(location, err))
	}
	detail := ""
	switch u.Scheme {
	case "", "hdfs":
	case "file":
		if u.Host != "" || u.User != nil || u.Path == "" || u.RawQuery != "" {
			detail = "a folder is written file:///path, with three slashes"
		}
	case "mem":
		if location != "mem:" {
			detail = "memory is written mem: and nothing else"
		}
	case "s3":
		if strings.Contains(location, "@") || strings.Contains(u.Host, ":") || strings.Contains(strings.ToLower(u.RawQuery), "%40") {
			// They may hold a /, and so reach into what looks like the path.
			detail = "credentials don't belong in the URL, where others can see them: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; a bucket has no port, and @ is written %40"
		}
	default:
		detail = fmt.Sprintf("there is no store %q", u.Scheme)
	}
	if detail != "" {
		return nil, invalid(location, detail)
	}
	return u, nil
}

// whyUnreadable leaves out what could be a part of a secret.
func whyUnreadable(location string, err error) string {
	if strings.Contains(location, "@") {
		return "a name or a password before @ may not hold / ? # % or a space; write them as %2F and the like"
	}
	// The whole error shows the whole URL.
	if parsing := (*url.Error)(nil); errors.As(err, &parsing) {
		return parsing.Err.Error()
	}
	return err.Error()
}

// Mask returns the location without its secrets: the password, and what of the
// query is or may be one. Of what can't be taken apart only the scheme is shown,
// since nobody knows what it holds.
func Mask(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Scheme != "" && u.User == nil && strings.Contains(location, "@") && strings.Contains(u.Host, ":") {
		// The latter is a password with a / in it: scheme://user:1/x@host.
		scheme, _, found := strings.Cut(location, "://")
		if !found {
			return Masked
		}
		return scheme + "://" + Masked
	}
	if u.Scheme == "" {
		return location
	}
	if _, has := u.User.Password(); has {
		u.User = url.UserPassword(u.User.Username(), "MASK")
	}
	parts := strings.Split(u.RawQuery, "&")
	for i, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		if isSecret(strings.ToLower(name)) || strings.Contains(value, "@") || strings.Contains(value, "%40") {
			parts[i] = name + "=MASK"
		}
	}
	u.RawQuery = strings.Join(parts, "&")
	return strings.ReplaceAll(u.String(), "MASK", Masked)
}

// isSecret tells whether a setting's name is that of a secret.
func isSecret(name string) bool {
	for _, word := range []string{"secret", "password", "token", "key"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

func invalid(location, detail string) error {
	return &talos.Error{
		Kind: talos.InvalidConfig, Op: "stores.Open", Subject: "--store " + Mask(location), Detail: detail + "; it takes " + Forms,
	}
}
