package fake_test

import (
	"context"
	"fmt"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/sdk/fake"
	"github.com/talos-log/talos/talos"
)

// In a test, StartT is shorter.
func ExampleStart() {
	ctx := context.Background()
	cluster, err := fake.Start(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cluster.Close()
	client := cluster.Client()
	if _, err := client.CreateTopic(ctx, "logs", 1, talos.TopicConfig{}); err != nil {
		fmt.Println(err)
	}
	producer, err := client.NewProducer(ctx, "logs")
	if err != nil {
		fmt.Println(err)
		return
	}
	delivery, err := producer.SendSync(ctx, sdk.PartitionAny, talos.Record{Value: []byte("x")})
	fmt.Println(delivery.Offset, err)
	// Output: 0 <nil>
}
