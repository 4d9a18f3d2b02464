package wasm

import "errors"

// validateComponent checks a component and everything inside it. The rules of
// components were checked as it was read, as each definition came; what is left
// are the modules, for module to check. The fault that comes first in the file
// is the one reported.
func validateComponent(b *Binary, module func(*Binary) (Features, error)) (Features, error) {
	v := b.Component.verdict
	used := v.features
	for _, m := range b.Component.modules(nil) {
		if v.fault != nil && m.Offset > v.fault.Offset {
			break
		}
		f, err := module(m)
		if err != nil {
			return 0, earlier(err, v.fault)
		}
		used |= f
	}
	if v.fault != nil {
		return 0, v.fault
	}
	return used, nil
}

// modules collects the core modules in a component, those of nested components
// included, in the order of the file.
func (c *Component) modules(list []*Binary) []*Binary {
	m, n := c.Modules, c.Components
	for len(m) > 0 || len(n) > 0 {
		if len(n) == 0 || len(m) > 0 && m[0].Offset < n[0].Offset {
			list, m = append(list, m[0]), m[1:]
		} else {
			list, n = n[0].Component.modules(list), n[1:]
		}
	}
	return list
}

// earlier gives the fault of a component if it comes before the error of a
// module in it.
func earlier(err error, fault *Error) error {
	var at *Error
	if fault != nil && (!errors.As(err, &at) || fault.Offset < at.Offset) {
		return fault
	}
	return err
}
