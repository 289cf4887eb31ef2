module github.com/mintreu/mintreu/sdk

go 1.24
