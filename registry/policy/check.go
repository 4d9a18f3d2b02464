package policy

func (c *Checkfile) needs() Needs                       { return Needs{Report: true} }
func (c *Checkfile) reads() []string                    { return nil }
func (e *evaluation) checkfile(p *compiled) []Violation { return nil }
