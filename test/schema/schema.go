// Package schema gives tests the official schemas of the formats that are
// written. They lie with the packages that write them, compressed; formats of
// texts are asserted, and nothing is fetched.
package schema

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// top is the folder of go.mod, wherever the test runs.
func top() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// cycloneDX is the folder of its schemas.
func cycloneDX() string { return filepath.Join(top(), "sbom", "cyclonedx", "testdata", "schema") }

// CycloneDX is the JSON schema of a version of CycloneDX, "1.6" or "1.7".
func CycloneDX(version string) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.UseLoader(folder(cycloneDX()))
	return c.Compile(fmt.Sprintf("http://cyclonedx.org/schema/bom-%s.schema.json", version))
}

// CycloneDXXML writes the XML schema of a version of CycloneDX to dir, with what
// it imports, and returns the path of a file that validates against it without
// the network.
func CycloneDXXML(dir, version string) (string, error) {
	for _, name := range []string{"bom-" + version + ".xsd", "spdx.xsd"} {
		data, err := unpack(filepath.Join(cycloneDX(), name))
		if err != nil {
			return "", err
		}
		// That of 1.7 imports the list of licences by an address on the web.
		data = bytes.ReplaceAll(data, []byte(`schemaLocation="http://cyclonedx.org/schema/spdx"`), []byte(`schemaLocation="spdx.xsd"`))
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "bom-"+version+".xsd"), nil
}

// SPDX is the JSON schema of SPDX 2.3.
func SPDX() (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.UseLoader(folder(filepath.Join(top(), "sbom", "spdx", "testdata")))
	return c.Compile("http://spdx.org/spdx-schema-v2.3.json")
}

// A folder has schemas by the last part of their addresses.
type folder string

// Load implements jsonschema.URLLoader.
func (f folder) Load(address string) (any, error) {
	data, err := unpack(filepath.Join(string(f), path.Base(address)))
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(data))
}

// unpack reads a file that lies compressed beside its name.
func unpack(name string) ([]byte, error) {
	f, err := os.Open(name + ".gz")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return io.ReadAll(r)
}
