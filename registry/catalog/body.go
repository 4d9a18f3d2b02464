package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/registry/catalog/wire"
)

// Bounds of a body.
const (
	smallBody = 64 << 10 // bytes
	largeBody = 2 << 20  // of one with a policy, whose every character may be escaped
	maxDepth  = 8        // of objects and arrays in each other
)

// readBody reads a JSON body into what the operation wants. A body has to say that
// it is JSON, which no form of a web page can, even where a browser would not
// tell us where the page is from.
func (q *request) readBody(w http.ResponseWriter) error {
	r := q.http
	if q.op.body == nil {
		if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody || r.Method == http.MethodGet || r.Method == http.MethodHead {
			return nil
		}
		var one [1]byte
		if n, _ := io.ReadFull(r.Body, one[:]); n > 0 {
			return &wire.Problem{Code: wire.CodeBadRequest, Detail: "this takes no body"}
		}
		return nil
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != wire.MediaTypeJSON || !strings.EqualFold(or(params["charset"], "utf-8"), "utf-8") {
		return &wire.Problem{Code: wire.CodeMediaType, Detail: "the body has to be of type " + wire.MediaTypeJSON}
	}
	limit := q.op.maxBody
	if limit == 0 {
		limit = smallBody
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return err
		}
		return &wire.Problem{Code: wire.CodeBadRequest, Detail: "the body ended before its end"}
	}
	into := reflect.New(reflect.TypeOf(q.op.body))
	if err := decode(data, into.Interface()); err != nil {
		return err
	}
	q.body = into.Interface()
	return nil
}

// decode reads one JSON value into a struct. Unlike encoding/json it refuses
// fields that the struct has not, in exactly their spelling, fields that come
// twice or are missing, null, deep nesting, text that is not UTF-8 and zero bytes
// in it, and what the tags of fields forbid; the problem tells the offset, which is
// at the fault or right behind it.
func decode(data []byte, into any) error {
	if !utf8.Valid(data) {
		return malformed(int64(invalidUTF8(data)), "it is not UTF-8")
	}
	d := &decoder{Decoder: json.NewDecoder(bytes.NewReader(data))}
	d.UseNumber()
	if err := d.value(reflect.ValueOf(into).Elem(), "", 1); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return malformed(d.InputOffset(), "there is more than one value")
	}
	return nil
}

func malformed(offset int64, detail string) error {
	return &wire.Problem{Code: wire.CodeBadRequest, Detail: "the body: " + detail, Offset: &offset}
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(data)
}

// A decoder reads a value into a Go value of its type.
type decoder struct{ *json.Decoder }

func (d *decoder) token() (json.Token, error) {
	t, err := d.Token()
	if err != nil {
		var syntax *json.SyntaxError
		switch {
		case errors.As(err, &syntax):
			return nil, malformed(syntax.Offset, syntax.Error())
		default:
			return nil, malformed(d.InputOffset(), "it ends too early")
		}
	}
	if s, ok := t.(string); ok && strings.ContainsRune(s, 0) {
		return nil, malformed(d.InputOffset(), "a text has a zero byte")
	}
	return t, nil
}

// value reads a value, which the tag of its field says more about.
func (d *decoder) value(into reflect.Value, tag reflect.StructTag, depth int) error {
	t, err := d.token()
	if err != nil {
		return err
	}
	switch t {
	case nil:
		return malformed(d.InputOffset(), "null stands for nothing here: leave the field out")
	case json.Delim('{'):
		if into.Kind() != reflect.Struct {
			return malformed(d.InputOffset(), "an object where there should be none")
		}
		return d.object(into, depth)
	case json.Delim('['):
		if into.Kind() != reflect.Slice {
			return malformed(d.InputOffset(), "an array where there should be none")
		}
		return d.array(into, depth)
	}
	if err := scalar(t, into, tag.Get("jsonschema")); err != nil {
		return malformed(d.InputOffset(), err.Error())
	}
	return nil
}

// scalar stores a text, number or truth value if it is of the right type and what
// the tag of its field allows, which is what the document says.
func scalar(t json.Token, into reflect.Value, tag string) error {
	kind := into.Kind()
	switch v := t.(type) {
	case string:
		if kind != reflect.String {
			return errors.New("a text where there should be none")
		}
		into.SetString(v)
		return fitsText(v, into.Type(), tag)
	case json.Number:
		if kind != reflect.Int && kind != reflect.Int64 {
			return errors.New("a number where there should be none")
		}
		n, err := whole(v)
		if err != nil {
			return err
		}
		into.SetInt(n)
		return fitsNumber(n, tag)
	case bool:
		if kind != reflect.Bool {
			return errors.New("a truth value where there should be none")
		}
		into.SetBool(v)
	}
	return nil
}

// whole reads a whole number, of which JSON has more spellings than one: 20.0 and
// 2e1 are 20.
func whole(n json.Number) (int64, error) {
	if v, err := n.Int64(); err == nil {
		return v, nil
	}
	const exact = 1 << 53 // up to which a float has every whole number
	f, err := n.Float64()
	if err != nil || f != math.Trunc(f) || math.Abs(f) > exact {
		return 0, fmt.Errorf("%s is no whole number, or none of 64 bits", clip(n.String()))
	}
	return int64(f), nil
}

func fitsText(s string, typ reflect.Type, tag string) error {
	var words []string
	for item := range strings.SplitSeq(tag, ",") {
		key, value, _ := strings.Cut(item, "=")
		bound, _ := strconv.Atoi(value) // a test reads all tags
		switch {
		case key == "minLength" && utf8.RuneCountInString(s) < bound:
			return fmt.Errorf("a text of less than %d characters", bound)
		case key == "maxLength" && utf8.RuneCountInString(s) > bound:
			return fmt.Errorf("a text of more than %d characters", bound)
		case key == "format" && value == formatPackage:
			if _, err := wire.Repository(s); err != nil {
				return err
			}
		case key == "enum":
			words = append(words, value)
		}
	}
	if words != nil && !slices.Contains(words, s) {
		return fmt.Errorf("%q is none of %s", clip(s), strings.Join(words, ", "))
	}
	if typ == reflect.TypeFor[digest.Digest]() {
		_, err := ref.ParseDigest(s)
		return err
	}
	return nil
}

// formatPackage is the format of fields that name a package.
const formatPackage = "package"

func fitsNumber(v int64, tag string) error {
	for item := range strings.SplitSeq(tag, ",") {
		key, value, _ := strings.Cut(item, "=")
		bound, _ := strconv.ParseInt(value, 10, 64) // as above
		if key == "minimum" && v < bound || key == "maximum" && v > bound {
			return fmt.Errorf("%d, and the %s is %d", v, key, bound)
		}
	}
	return nil
}

func (d *decoder) object(into reflect.Value, depth int) error {
	if depth > maxDepth {
		return malformed(d.InputOffset(), fmt.Sprintf("nested more than %d deep", maxDepth))
	}
	seen := make(map[string]bool)
	for d.More() {
		t, err := d.token()
		if err != nil {
			return err
		}
		name, _ := t.(string) // the decoder has seen to it
		i, ok := fieldOf(into.Type(), name)
		switch {
		case !ok:
			return malformed(d.InputOffset(), fmt.Sprintf("there is no field %q", clip(name)))
		case seen[name]:
			return malformed(d.InputOffset(), fmt.Sprintf("field %q comes twice", name))
		}
		seen[name] = true
		if err := d.value(into.Field(i), into.Type().Field(i).Tag, depth+1); err != nil {
			return err
		}
	}
	if _, err := d.token(); err != nil {
		return err
	}
	return required(into.Type(), seen, d.InputOffset())
}

// required reports a field that has to be there and is not.
func required(typ reflect.Type, seen map[string]bool, offset int64) error {
	for i := range typ.NumField() {
		name, options, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		if !strings.Contains(options, "omit") && !seen[name] {
			return malformed(offset, fmt.Sprintf("field %q is missing", name))
		}
	}
	return nil
}

func (d *decoder) array(into reflect.Value, depth int) error {
	if depth > maxDepth {
		return malformed(d.InputOffset(), fmt.Sprintf("nested more than %d deep", maxDepth))
	}
	for d.More() {
		item := reflect.New(into.Type().Elem()).Elem()
		if err := d.value(item, "", depth+1); err != nil {
			return err
		}
		into.Set(reflect.Append(into, item))
	}
	_, err := d.token()
	return err
}

// fieldOf is the index of a struct's field by its name in JSON.
func fieldOf(typ reflect.Type, name string) (int, bool) {
	for i := range typ.NumField() {
		if tag, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ","); tag == name && tag != "" {
			return i, true
		}
	}
	return 0, false
}
