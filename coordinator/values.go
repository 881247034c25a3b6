package coordinator

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/talos-log/talos/talos"
)

// The values are JSON. A field that this version does not know is passed over,
// so that a later version may add some; anything else that is not as written
// here is an error that names the key.

// encode can't fail for the types of this package; if it ever does, that is a
// fault of the program.
func encode(key string, value any) ([]byte, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, &talos.Error{Kind: talos.Internal, Op: "coordinator.encode", Subject: key, Cause: err}
	}
	return data, nil
}

func decode[T any](e Entry, validate func(T) error) (T, error) {
	var value T
	err := json.Unmarshal(e.Value, &value)
	if err == nil {
		err = validate(value)
	}
	if err != nil {
		var zero T
		return zero, malformed(e, err)
	}
	return value, nil
}

func malformed(e Entry, cause error) error {
	return &talos.Error{
		Kind: talos.Internal, Op: "coordinator.decode", Subject: e.Key,
		Detail: "the value of this key is malformed; if somebody changed it by hand, put it back", Cause: cause,
	}
}

func decodeCluster(e Entry) (Cluster, error) {
	return decode(e, func(c Cluster) error {
		if c.ProducerBits < 1 || c.ProducerBits > maxProducerBits {
			return fmt.Errorf("producer_bits is %d, want 1 to %d", c.ProducerBits, maxProducerBits)
		}
		_, err := uuid.Parse(c.ID)
		return err
	})
}

func decodeMember(e Entry) (Member, error) {
	return decode(e, func(m Member) error {
		if e.Key != nodeKey(m.ID) {
			return fmt.Errorf("it describes node %q, which belongs elsewhere", m.ID)
		}
		return m.validate()
	})
}

func decodeTopic(e Entry) (talos.Topic, error) {
	return decode(e, func(t talos.Topic) error {
		if e.Key != topicKey(t.Name) && e.Key != deletedKey(t.ID) {
			return fmt.Errorf("it describes topic %q, id %s, which belongs elsewhere", t.Name, t.ID)
		}
		return validateTopic(t)
	})
}

// validateTopic returns errors of the kinds for clients.
func validateTopic(t talos.Topic) error {
	if err := t.Name.Validate(); err != nil {
		return err
	}
	if err := t.Config.Validate(); err != nil {
		return err
	}
	var fault string
	switch {
	case t.ID == talos.TopicID{}:
		fault = "it has no id"
	case t.Partitions < 1 || t.Partitions > talos.MaxPartitions:
		fault = fmt.Sprintf("it has %d partitions, want 1 to %d", t.Partitions, talos.MaxPartitions)
	default:
		return nil
	}
	return &talos.Error{Kind: talos.InvalidRequest, Op: "coordinator.Topic", Subject: string(t.Name), Detail: fault}
}

func decodeRecord(e Entry) (talos.PartitionRecord, error) {
	return decode(e, validateRecord)
}

func validateRecord(r talos.PartitionRecord) error {
	switch {
	case r.Epoch < 1:
		return fmt.Errorf("epoch is %d, want at least 1", r.Epoch)
	case r.Tail < 0:
		return fmt.Errorf("tail is %d, want at least 0", r.Tail)
	case r.Start.Number < 1 || r.Start.Offset < 0:
		return fmt.Errorf("start is %d at offset %d, want at least 1 at offset 0", r.Start.Number, r.Start.Offset)
	}
	return nil
}
