//go:build s3

package distdriver

import _ "github.com/distribution/distribution/v3/registry/storage/driver/s3-aws" // registers s3aws, on the old AWS SDK
