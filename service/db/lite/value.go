package lite

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mintreu/mintreu/service/db"
)

// TimeFormat is how instants are stored: UTC text of fixed width with microseconds, so that text order is time order.
const TimeFormat = "2006-01-02T15:04:05.000000Z"

// values turns arguments into what SQLite stores: instants become text, text is checked as PostgreSQL would, JSON is text
// and nil pointers and slices are NULL.
func values(args []any) ([]any, error) {
	out := make([]any, len(args))
	for i, a := range args {
		v, err := value(a)
		if err != nil {
			return nil, fmt.Errorf("parameter $%d: %w", i+1, err)
		}
		out[i] = v
	}
	return out, nil
}

func value(a any) (any, error) {
	switch v := a.(type) {
	case nil, int64, int, int32, bool, float64:
		return v, nil
	case string:
		return text(v)
	case time.Time:
		return v.UTC().Format(TimeFormat), nil
	case json.RawMessage:
		if v == nil {
			return nil, nil
		}
		return text(string(v))
	case []byte:
		return blob(v), nil
	case driver.Valuer:
		if r := reflect.ValueOf(a); r.Kind() == reflect.Pointer && r.IsNil() {
			return nil, nil
		}
		inner, err := v.Value()
		if err != nil {
			return nil, err
		}
		return value(inner)
	}
	return reflected(a)
}

// reflected handles pointers and named types.
func reflected(a any) (any, error) {
	r := reflect.ValueOf(a)
	switch r.Kind() {
	case reflect.Pointer:
		if r.IsNil() {
			return nil, nil
		}
		return value(r.Elem().Interface())
	case reflect.String:
		return text(r.String())
	case reflect.Bool:
		return r.Bool(), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return r.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if r.Uint() > 1<<63-1 {
			return nil, fmt.Errorf("%d does not fit a bigint", r.Uint())
		}
		return int64(r.Uint()), nil
	case reflect.Float32, reflect.Float64:
		return r.Float(), nil
	case reflect.Slice:
		if r.Type().Elem().Kind() == reflect.Uint8 {
			return blob(r.Bytes()), nil
		}
	case reflect.Array:
		if r.Type().Elem().Kind() == reflect.Uint8 {
			out := make([]byte, r.Len())
			reflect.Copy(reflect.ValueOf(out), r)
			return out, nil
		}
	}
	return nil, fmt.Errorf("type %T cannot be stored", a)
}

func text(s string) (any, error) {
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return nil, db.ErrText
	}
	return s, nil
}

func blob(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// destinations wraps the targets of a Scan that database/sql does not fill from SQLite's text as pgx fills them.
func destinations(dest []any) []any {
	out := make([]any, len(dest))
	for i, d := range dest {
		out[i] = destination(d)
	}
	return out
}

func destination(d any) any {
	switch t := d.(type) {
	case *time.Time:
		return (*instant)(t)
	case **time.Time:
		return instantOrNil{t}
	case *sql.NullTime:
		return instantOrNull{t}
	case *sql.Null[time.Time]:
		return instantOrNone{t}
	case *[]byte:
		return &octets{t}
	case *json.RawMessage:
		return &octets{(*[]byte)(t)}
	}
	return d
}

// instant scans stored text into a time; the others take NULL too. All are pointers, so that wrapping a target allocates nothing.
type (
	instant       time.Time
	instantOrNil  struct{ to **time.Time }
	instantOrNull struct{ to *sql.NullTime }
	instantOrNone struct{ to *sql.Null[time.Time] }
)

func (i *instant) Scan(src any) error {
	t, valid, err := scanned(src)
	if err == nil && !valid {
		return errors.New("cannot scan NULL into *time.Time")
	}
	*i = instant(t)
	return err
}

func (i instantOrNil) Scan(src any) error {
	t, valid, err := scanned(src)
	if *i.to = nil; valid {
		*i.to = &t
	}
	return err
}

func (i instantOrNull) Scan(src any) (err error) {
	i.to.Time, i.to.Valid, err = scanned(src)
	return err
}

func (i instantOrNone) Scan(src any) (err error) {
	i.to.V, i.to.Valid, err = scanned(src)
	return err
}

// scanned is the instant that a column holds; valid is false for NULL.
func scanned(src any) (t time.Time, valid bool, err error) {
	switch v := src.(type) {
	case nil:
		return time.Time{}, false, nil
	case time.Time:
		return v.UTC(), true, nil
	case string:
		t, ok := stored(v)
		if !ok {
			if t, err = time.Parse(TimeFormat, v); err != nil {
				return time.Time{}, false, fmt.Errorf("stored instant %q: %w", v, err)
			}
		}
		return t, true, nil
	}
	return time.Time{}, false, fmt.Errorf("cannot scan %T into a time", src)
}

// stored reads an instant as [TimeFormat] writes it, which costs a fifth of what [time.Parse] does. It reports false for any other text.
func stored(v string) (time.Time, bool) {
	const shape = "0000-00-00T00:00:00.000000Z"
	if len(v) != len(shape) {
		return time.Time{}, false
	}
	for i := range len(shape) {
		if digit := v[i]-'0' < 10; digit != (shape[i] == '0') || !digit && v[i] != shape[i] {
			return time.Time{}, false
		}
	}
	number := func(from, to int) (n int) {
		for _, c := range []byte(v[from:to]) {
			n = n*10 + int(c-'0')
		}
		return n
	}
	month, day, hour, minute, second := number(5, 7), number(8, 10), number(11, 13), number(14, 16), number(17, 19)
	if month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(number(0, 4), time.Month(month), day, hour, minute, second, 1000*number(20, 26), time.UTC)
	return t, t.Day() == day
}

// octets scans text or bytes into a fresh slice; nil means NULL, as with pgx.
type octets struct{ to *[]byte }

func (o *octets) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*o.to = nil
	case []byte:
		*o.to = append([]byte{}, v...)
	case string:
		*o.to = []byte(v)
	default:
		return fmt.Errorf("cannot scan %T into bytes", src)
	}
	return nil
}
