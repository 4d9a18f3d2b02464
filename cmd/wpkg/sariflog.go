package main

import (
	"encoding/json"
	"io"
)

// sarifSchema is where the schema of SARIF 2.1.0 is.
const sarifSchema = "https://raw.githubusercontent.com/oasis-tcs/sarif-spec/main/sarif-2.1/schema/sarif-schema-2.1.0.json"

// The types below are the part of SARIF 2.1.0 (OASIS, section 3) that our reports
// have, in its words. Tests hold what is written against the schema.
type (
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Artifacts   []sarifFile       `json:"artifacts,omitempty"`
		Results     []sarifFound      `json:"results"` // without it, nothing was looked for
	}

	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}

	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}

	// A sarifRule is a reportingDescriptor.
	sarifRule struct {
		ID                   string         `json:"id"`
		Name                 string         `json:"name"`
		ShortDescription     sarifText      `json:"shortDescription"`
		FullDescription      sarifText      `json:"fullDescription"`
		Help                 sarifText      `json:"help"`
		HelpURI              string         `json:"helpUri"`
		DefaultConfiguration sarifLevel     `json:"defaultConfiguration"`
		Properties           map[string]any `json:"properties"`
	}

	sarifText struct {
		Text string `json:"text"`
	}

	sarifLevel struct {
		Level string `json:"level"`
	}

	// A sarifInvocation is successful if all could be looked at.
	sarifInvocation struct {
		ExecutionSuccessful        bool                `json:"executionSuccessful"`
		ToolExecutionNotifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}

	sarifNotification struct {
		Level     string       `json:"level"`
		Message   sarifText    `json:"message"`
		Locations []sarifPlace `json:"locations"`
	}

	// A sarifFile is an artifact: something that was looked at.
	sarifFile struct {
		Location sarifFileLocation `json:"location"`
		Length   int64             `json:"length,omitempty"` // bytes
		MIMEType string            `json:"mimeType,omitempty"`
		Hashes   map[string]string `json:"hashes,omitempty"`
	}

	sarifFileLocation struct {
		URI   string `json:"uri"`
		Index *int   `json:"index,omitempty"` // in the list of artifacts
	}

	// A sarifPlace is a location.
	sarifPlace struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}

	sarifPhysical struct {
		ArtifactLocation sarifFileLocation `json:"artifactLocation"`
		Region           sarifRegion       `json:"region"`
	}

	sarifRegion struct {
		StartLine int `json:"startLine"`
	}

	sarifLogical struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
		Kind               string `json:"kind"`
	}

	// A sarifFound is a result.
	sarifFound struct {
		RuleID              string             `json:"ruleId"`
		RuleIndex           int                `json:"ruleIndex"` // in the rules of the driver
		Level               string             `json:"level"`
		Message             sarifText          `json:"message"`
		Locations           []sarifPlace       `json:"locations"`
		PartialFingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions        []sarifSuppression `json:"suppressions,omitempty"`
		Properties          map[string]any     `json:"properties"`
	}

	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
)

// newSARIFRun is a run of wpkg that found nothing yet. informationURI is where
// people read about the results.
func newSARIFRun(version, informationURI string) *sarifRun {
	return &sarifRun{
		Tool:        sarifTool{sarifDriver{Name: "wpkg", Version: version, InformationURI: informationURI, Rules: []sarifRule{}}},
		Invocations: []sarifInvocation{{}},
		Results:     []sarifFound{},
	}
}

// failed notes that what lies at a place could not be looked at.
func (r *sarifRun) failed(text string, at sarifPlace) {
	i := &r.Invocations[0]
	i.ToolExecutionNotifications = append(i.ToolExecutionNotifications, sarifNotification{"error", sarifText{text}, []sarifPlace{at}})
}

// rule adds a rule and returns its index.
func (r *sarifRun) rule(rule sarifRule) int {
	r.Tool.Driver.Rules = append(r.Tool.Driver.Rules, rule)
	return len(r.Tool.Driver.Rules) - 1
}

// write writes a log of this one run.
func (r *sarifRun) write(w io.Writer) error {
	text, err := json.MarshalIndent(struct {
		Schema  string      `json:"$schema"`
		Version string      `json:"version"`
		Runs    []*sarifRun `json:"runs"`
	}{sarifSchema, "2.1.0", []*sarifRun{r}}, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}
