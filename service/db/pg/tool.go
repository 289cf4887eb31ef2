package pg

import (
	"net/url"

	"github.com/jackc/pgx/v5/pgconn"
)

// ToolURL is a PostgreSQL URL as PostgreSQL's own tools take it, without its password, which is beside it. They refuse settings of a session, such as
// lock_timeout, and those of the program's own, such as pool_max_conns.
func ToolURL(dsn string) (bare, password string) {
	u, err := url.Parse(dsn)
	if err != nil {
		return dsn, ""
	}
	password, _ = u.User.Password()
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	q := u.Query()
	if q.Has("password") {
		password = q.Get("password")
		q.Del("password")
	}
	if config, err := pgconn.ParseConfig(dsn); err == nil {
		for name := range config.RuntimeParams {
			if name != "application_name" && name != "options" {
				q.Del(name)
			}
		}
	}
	u.RawQuery = q.Encode()
	return u.String(), password
}
