package policy

import "go.yaml.in/yaml/v3"

func (d *document) checkfile(root *yaml.Node) *Checkfile { return nil }
