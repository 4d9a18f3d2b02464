package signing

import "encoding/json"

// ClaimedType is the type of predicate that a bundle or envelope says it has, "" if it
// says nothing. Nobody has verified that: it is for telling people what was refused.
func (f Found) ClaimedType() string {
	type envelope struct {
		Payload []byte `json:"payload"`
	}
	var e envelope
	switch {
	case f.Form == FormBundle:
		var b struct {
			Envelope envelope `json:"dsseEnvelope"`
		}
		if json.Unmarshal(f.Content, &b) != nil {
			return ""
		}
		e = b.Envelope
	case f.Form == FormCosign && f.Type == MediaTypeDSSE:
		if json.Unmarshal(f.Content, &e) != nil {
			return ""
		}
	}
	var st struct {
		PredicateType string `json:"predicateType"`
	}
	if json.Unmarshal(e.Payload, &st) != nil {
		return ""
	}
	return st.PredicateType
}
