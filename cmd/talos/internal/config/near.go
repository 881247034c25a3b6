package config

import "strings"

// maxDistance is how many letters a key may be wrong by to be guessed.
const maxDistance = 2

// near returns the known key that was probably meant, in words; or nothing.
func (r *reader) near(key string) string {
	last := key[strings.LastIndex(key, ".")+1:]
	best, least := "", maxDistance+1
	for known := range r.byKey {
		d := distance(key, known)
		if known[strings.LastIndex(known, ".")+1:] == last {
			d = min(d, maxDistance) // the right name in the wrong place
		}
		if d < least || d == least && best != "" && known < best {
			best, least = known, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
