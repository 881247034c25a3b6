package cli

import (
	"bufio"
	"time"
	"unicode/utf8"

	"github.com/talos-log/talos/sdk"
)

// recordJSON is one record as consume -o json prints it.
type recordJSON struct {
	Topic       string       `json:"topic" doc:"the topic's name"`
	Partition   int32        `json:"partition" doc:"the partition's number, from 0 on"`
	Offset      int64        `json:"offset" doc:"the record's position in its partition"`
	Timestamp   string       `json:"timestamp" doc:"the record's time, RFC 3339 in UTC, to the millisecond"`
	Key         *string      `json:"key" doc:"the key; null if there is none, or if key_base64 is there"`
	KeyBase64   []byte       `json:"key_base64,omitempty" doc:"the key, if it is not valid UTF-8"`
	Value       *string      `json:"value" doc:"the value; null if there is none, or if value_base64 is there"`
	ValueBase64 []byte       `json:"value_base64,omitempty" doc:"the value, if it is not valid UTF-8"`
	Headers     []headerJSON `json:"headers,omitempty" doc:"the headers, in their order; keys may repeat"`
}

type headerJSON struct {
	Key         string  `json:"key" doc:"the header's key"`
	Value       *string `json:"value" doc:"its value; null if there is none, or if value_base64 is there"`
	ValueBase64 []byte  `json:"value_base64,omitempty" doc:"its value, if it is not valid UTF-8"`
}

func toRecordJSON(m *sdk.Message) recordJSON {
	r := recordJSON{
		Topic: string(m.Topic), Partition: m.Partition, Offset: int64(m.Offset),
		Timestamp: m.Timestamp.In(time.UTC).Format(timestampFormat),
	}
	r.Key, r.KeyBase64 = textOrBytes(m.Key)
	r.Value, r.ValueBase64 = textOrBytes(m.Value)
	for _, h := range m.Headers {
		header := headerJSON{Key: h.Key}
		header.Value, header.ValueBase64 = textOrBytes(h.Value)
		r.Headers = append(r.Headers, header)
	}
	return r
}

// textOrBytes returns b as text if it is valid UTF-8, else as bytes.
func textOrBytes(b []byte) (*string, []byte) {
	if b == nil {
		return nil, nil
	}
	if !utf8.Valid(b) {
		return nil, b
	}
	s := string(b)
	return &s, nil
}

// recordWriter prints records.
type recordWriter struct {
	out      *bufio.Writer
	format   format
	template recordFormat
}

func (w recordWriter) write(m *sdk.Message) error {
	if w.format == formatJSON {
		return printJSON(w.out, toRecordJSON(m))
	}
	return w.template.write(w.out, m)
}
