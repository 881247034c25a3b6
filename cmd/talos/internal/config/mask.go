package config

import (
	"net/url"
	"strings"
)

// masked stands for a secret.
const masked = "********"

// maskURL masks the password and the query's secrets; all of a URL that can't be
// parsed, since nobody knows what it holds.
func maskURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return masked
	}
	if _, has := u.User.Password(); has {
		u.User = url.UserPassword(u.User.Username(), "MASK")
	}
	parts := strings.Split(u.RawQuery, "&")
	for i, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		for _, word := range []string{"secret", "password", "token", "key"} {
			if strings.Contains(strings.ToLower(name), word) {
				parts[i] = name + "=MASK"
			}
		}
	}
	u.RawQuery = strings.Join(parts, "&")
	return strings.ReplaceAll(u.String(), "MASK", masked)
}
