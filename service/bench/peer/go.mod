module github.com/mintreu/mintreu/service/bench/peer

go 1.26.4

require (
	github.com/go-redis/redis_rate/v10 v10.0.1
	github.com/mintreu/mintreu v0.0.0
	github.com/redis/go-redis/v9 v9.23.0
)

require (
	code.dny.dev/ssrf v0.3.0 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace (
	github.com/mintreu/mintreu => ../../..
	github.com/mintreu/mintreu/sdk => ../../../sdk
)
