package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/mintreu/mintreu/service/dial"
)

// S3 is a store in a bucket of an S3-compatible service, below a prefix. An object appears whole or not at all, which the service
// promises; large content goes up in parts that are given up when it fails.
type S3 struct {
	client *minio.Client
	bucket string
	prefix string
}

var _ Store = (*S3)(nil)

// S3Config says where a bucket is.
type S3Config struct {
	// Endpoint is "https://s3.eu-central-1.amazonaws.com" or another service's address.
	Endpoint string
	Region   string
	Bucket   string
	// Prefix comes before every name, "" for none; a slash is put between.
	Prefix string
	// KeyID and Secret are the credentials; empty takes AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment.
	KeyID, Secret string
}

// partSize is how much of an upload of unknown length is held in memory, in bytes; 10,000 parts are the most.
const partSize = 16 << 20

// maxRetries is how often a call that failed in a way that may pass is tried.
const maxRetries = 3

// OpenS3 opens the store and makes sure that the bucket can be reached.
func OpenS3(ctx context.Context, c S3Config) (*S3, error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("blob: the endpoint %q is no https://host", c.Endpoint)
	}
	keys := credentials.NewEnvAWS()
	if c.KeyID != "" {
		keys = credentials.NewStaticV4(c.KeyID, c.Secret, "")
	}
	lookup := minio.BucketLookupPath
	if strings.HasSuffix(u.Hostname(), ".amazonaws.com") {
		lookup = minio.BucketLookupAuto
	}
	client, err := minio.New(u.Host, &minio.Options{Creds: keys, Secure: u.Scheme == "https", Region: c.Region, BucketLookup: lookup,
		Transport: dial.Transport(dial.Trusted()), MaxRetries: maxRetries})
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	s := &S3{client: client, bucket: c.Bucket, prefix: strings.Trim(c.Prefix, "/")}
	switch found, err := client.BucketExists(ctx, c.Bucket); {
	case err != nil:
		return nil, fmt.Errorf("blob: bucket %s: %w", c.Bucket, err)
	case !found:
		return nil, fmt.Errorf("blob: there is no bucket %s", c.Bucket)
	}
	return s, nil
}

// parseS3 reads "s3://bucket/prefix?endpoint=https://host&region=name".
func parseS3(u *url.URL) (S3Config, error) {
	q := u.Query()
	c := S3Config{Endpoint: q.Get("endpoint"), Region: q.Get("region"), Bucket: u.Host, Prefix: u.Path}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.Endpoint == "" {
		c.Endpoint = "https://s3." + c.Region + ".amazonaws.com"
	}
	if c.Bucket == "" || u.User != nil {
		return c, errors.New("blob: want s3://bucket/prefix?endpoint=https://host&region=name; credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	return c, nil
}

func (s *S3) key(name string) (string, error) {
	if err := valid(name); err != nil {
		return "", err
	}
	if s.prefix == "" {
		return name, nil
	}
	return s.prefix + "/" + name, nil
}

// Put implements [Store].
func (s *S3) Put(ctx context.Context, name string, content []byte) error {
	key, err := s.key(name)
	if err != nil {
		return err
	}
	_, err = s.client.PutObject(ctx, s.bucket, key, bytes.NewReader(content), int64(len(content)), options())
	return s.explain(name, err)
}

// PutFrom implements [Store]. It holds one part in memory.
func (s *S3) PutFrom(ctx context.Context, name string, content io.Reader) (int64, error) {
	key, err := s.key(name)
	if err != nil {
		return 0, err
	}
	done, err := s.client.PutObject(ctx, s.bucket, key, onlyReader{content}, -1, options())
	return done.Size, s.explain(name, err)
}

func options() minio.PutObjectOptions {
	return minio.PutObjectOptions{ContentType: "application/octet-stream", PartSize: partSize, NumThreads: 1}
}

// onlyReader hides whatever else a reader can do, so that it is read once, in order.
type onlyReader struct{ io.Reader }

type object struct {
	*minio.Object
	size int64
}

// Size implements [File].
func (o object) Size() int64 { return o.size }

// Open implements [Store]. What is read comes in one stream for as long as nobody seeks. It must be closed, and ends with ctx.
func (s *S3) Open(ctx context.Context, name string) (File, error) {
	key, err := s.key(name)
	if err != nil {
		return nil, err
	}
	o, err := s.client.GetObject(ctx, s.bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, s.explain(name, err)
	}
	info, err := o.Stat()
	if err != nil {
		return nil, errors.Join(s.explain(name, err), o.Close())
	}
	return object{o, info.Size}, nil
}

// Delete implements [Store]. Deleting what is not there is no error.
func (s *S3) Delete(ctx context.Context, name string) error {
	key, err := s.key(name)
	if err != nil {
		return err
	}
	if err := s.explain(name, s.client.RemoveObject(ctx, s.bucket, key, minio.RemoveObjectOptions{})); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// Close implements [Store].
func (s *S3) Close() error { return nil }

// explain turns the service's "no such key" into [ErrNotFound].
func (s *S3) explain(name string, err error) error {
	if err == nil {
		return nil
	}
	if r := minio.ToErrorResponse(err); r.Code == minio.NoSuchKey || r.StatusCode == http.StatusNotFound && r.Code != minio.NoSuchBucket {
		return fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	return fmt.Errorf("blob: %s: %w", name, err)
}
