package wasm

import "slices"

// validateComponent checks a component and everything inside it.
func validateComponent(b *Binary) (Features, error) {
	used := FeatureComponentModel
	for _, nested := range slices.Concat(b.Component.Modules, b.Component.Components) {
		f, err := Validate(nested)
		if err != nil {
			return 0, err
		}
		used |= f
	}
	return used, nil
}
