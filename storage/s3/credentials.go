package s3

import (
	"fmt"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/talos-log/talos/talos"
)

// roleTimeout bounds the question for the machine's role, which nothing answers
// outside of a cloud.
const roleTimeout = 2 * time.Second

// findCredentials looks where every S3 client looks.
func findCredentials(c config) (*credentials.Credentials, error) {
	asking := &http.Client{Timeout: roleTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	creds := credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{},
		&credentials.FileAWSCredentials{},
		&credentials.IAM{Client: asking},
	})
	value, err := creds.GetWithContext(&credentials.CredContext{Client: asking, Endpoint: c.endpoint.String()})
	if err != nil || value.AccessKeyID == "" || value.SecretAccessKey == "" {
		return nil, &talos.Error{
			Kind: talos.InvalidConfig, Op: "s3.Open", Subject: c.url, Cause: err,
			Detail: fmt.Sprintf("there are no credentials for %s: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "+
				"or write them to ~/.aws/credentials (AWS_PROFILE names the profile)", c.endpoint),
		}
	}
	return creds, nil
}
