package notation

// Parse tells what an envelope says, as Verify reads it before it believes anything.
func Parse(mediaType string, content []byte) (*Signature, error) {
	e, err := parse(mediaType, content)
	if err != nil {
		return nil, err
	}
	return e.says(), nil
}
