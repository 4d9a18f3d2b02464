package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Field is one setting. The table of all of them is read from the struct once.
type Field struct {
	Key     string   // in the file: "limits.max_blob"
	Default string   // documented default, "" for none; DATA/ stands for the data folder
	OneOf   []string // the allowed values, empty for any
	All     bool     // a setting of every command, not of serve alone

	index []int
	kind  reflect.Type
}

// Flag is the name of the setting's flag, without dashes before it.
func (f Field) Flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(f.Key) }

// Env is the name of the setting's environment variable.
func (f Field) Env() string { return envPrefix + strings.ToUpper(strings.ReplaceAll(f.Key, ".", "_")) }

// Doc is the whole text of the manual on this setting.
func (f Field) Doc() string { return manual[f.Key] }

// Usage is the first sentence of Doc, without its full stop.
func (f Field) Usage() string {
	first, _, _ := strings.Cut(f.Doc(), ". ")
	return strings.TrimSuffix(first, ".")
}

// Section is the part of the key before the dot, "" for a setting at the top.
func (f Field) Section() string {
	section, _, ok := strings.Cut(f.Key, ".")
	if !ok {
		return ""
	}
	return section
}

// Bool and List say what kind of flag the setting has; all others take a text.
func (f Field) Bool() bool { return f.kind.Kind() == reflect.Bool }

// List reports whether the setting holds several texts.
func (f Field) List() bool { return f.kind.Kind() == reflect.Slice }

// Fields is the table of settings in the order of the struct. The caller must
// not change it.
var Fields = sync.OnceValue(func() []Field {
	return walk(nil, "", nil, reflect.TypeFor[Config]())
})

func walk(fields []Field, prefix string, index []int, t reflect.Type) []Field {
	for i := range t.NumField() {
		sf := t.Field(i)
		key := prefix + sf.Tag.Get("key")
		at := append(slices.Clone(index), i)
		if sf.Type.Kind() == reflect.Struct {
			fields = walk(fields, key+".", at, sf.Type)
			continue
		}
		fields = append(fields, Field{
			Key: key, Default: sf.Tag.Get("default"), OneOf: strings.Fields(sf.Tag.Get("oneof")),
			All: sf.Tag.Get("scope") == "all", index: at, kind: sf.Type,
		})
	}
	return fields
}

func (f Field) value(c *Config) reflect.Value { return reflect.ValueOf(c).Elem().FieldByIndex(f.index) }

// set reads texts, of which all but a list has one, into c's field. Numbers and
// times must be above zero: zero is how the struct says "the default".
func (f Field) set(c *Config, texts ...string) error {
	if f.List() {
		return f.setList(c, texts)
	}
	if len(texts) != 1 {
		return fmt.Errorf("has %d values, want one", len(texts))
	}
	text := texts[0]
	if len(f.OneOf) > 0 && !slices.Contains(f.OneOf, text) {
		return fmt.Errorf("%q is not one of %s", clip(text), strings.Join(f.OneOf, ", "))
	}
	switch p := f.value(c).Addr().Interface().(type) {
	case *string:
		*p = text
	case *DSN:
		*p = DSN(text)
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is not true or false", clip(text))
		}
		*p = b
	case *int:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not a whole number of at most 31 bits", clip(text))
		}
		*p = int(n)
		return positive(n)
	case *Size:
		if err := p.UnmarshalText([]byte(text)); err != nil {
			return err
		}
		return positive(int64(*p))
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a time like 90s, 5m or 1h30m", clip(text))
		}
		*p = d
		return positive(int64(d))
	}
	return nil
}

func positive(n int64) error {
	if n <= 0 {
		return errors.New("must be above zero")
	}
	return nil
}

// setList takes every text apart at commas and drops what is empty.
func (f Field) setList(c *Config, texts []string) error {
	var list []string
	for _, text := range texts {
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
	}
	f.value(c).Set(reflect.ValueOf(list))
	return nil
}
