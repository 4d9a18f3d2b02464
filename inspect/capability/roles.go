package capability

// A use is the import of one function by a module, with what is known of the
// calls to it.
type use struct {
	module, name string
	fn           uint32 // its index in the module
	meaning      Meaning
	args         arguments

	// owned says that only the language's runtime calls it, which writes to
	// the standard streams and opens nothing.
	owned bool

	// of is the use that this is a copy of, with other arguments; see meant.
	of *use
}

// A claim says that a use gives a capability.
type claim struct {
	id       ID
	use      *use
	access   string
	possible bool
}

// claims works out what a set of imports gives together.
//
// Descriptors are what makes that depend on one another. Those that the host
// opened before the start are standard streams or, rarely, something else it
// chose; without an import that opens files or sockets, reading and writing
// cannot touch anything more. With one that does, a call whose descriptor is
// not a constant may be about either, and what may be done with an opened file
// depends on the rights it was opened with.
func claims(uses []*use) []claim {
	s := survey(uses)
	var list []claim
	add := func(u *use, possible bool, id ID, access string) {
		list = append(list, claim{id, u, access, possible})
	}
	for _, u := range uses {
		if !u.meaning.Known() {
			add(u, false, UnknownHostCall, "")
			continue
		}
		for _, g := range u.meaning.Grants {
			for _, a := range g.Access {
				add(u, false, g.ID, a)
			}
			if len(g.Access) == 0 {
				add(u, false, g.ID, "")
			}
		}
		if u.meaning.role != roleNone {
			s.role(u, add)
		}
	}
	return list
}

// A summary is what the uses of a module have between them.
type summary struct {
	opens    bool // files
	connects bool // sockets
	calls    bool // connects to others, and not only accepts
	speaks   bool // has a named way to use a socket that it makes
	reads    bool // has a way to read an opened descriptor
	writes   bool // has a way to write one
	rights   rights
}

func survey(uses []*use) summary {
	s := summary{rights: rights{known: true}}
	for _, u := range uses {
		switch u.meaning.role {
		case roleOpen:
			s.opens = true
			s.rights = s.rights.union(u.args.rights)
		case roleSocket:
			s.connects, s.calls = true, true
		case roleRead, roleList:
			s.reads = s.reads || !u.owned && u.args.descriptors.beyondStreams()
		case roleWrite, roleResize:
			s.writes = s.writes || !u.owned && u.args.descriptors.beyondStreams()
		default: // says nothing of the others
		}
		for _, g := range u.meaning.Grants {
			switch g.ID {
			case NetInbound, NetOutbound:
				s.connects, s.speaks = true, true
				s.calls = s.calls || g.ID == NetOutbound
			case FilesRead:
				s.reads = s.reads || holds(g.Access, "contents") || holds(g.Access, "listing")
			case FilesWrite:
				s.writes = s.writes || holds(g.Access, "contents")
			default: // has nothing to do with descriptors
			}
		}
	}
	return s
}

func holds(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// role makes the claims of a use whose meaning depends on the others.
func (s *summary) role(u *use, add func(u *use, possible bool, id ID, access string)) {
	switch u.meaning.role {
	case roleOpen:
		s.open(u, add)
	case roleRead:
		s.read(u, add)
	case roleWrite:
		s.write(u, add)
	case roleList:
		add(u, false, FilesRead, "listing")
	case roleResize:
		if s.opens && s.rights.write {
			add(u, !s.rights.known, FilesWrite, "contents")
		}
	case roleSocket:
		if !s.speaks {
			add(u, true, NetOutbound, "")
		}
	case roleSend:
		add(u, !s.connects, s.network(), "send")
	case roleReceive:
		add(u, !s.connects, NetInbound, "receive")
	case roleDescriptor:
		add(u, true, Stdio, "state")
	default: // has its grants
	}
}

// network is the direction in which sending counts: a module without a way to
// connect answers those that connected to it.
func (s *summary) network() ID {
	if s.calls {
		return NetOutbound
	}
	return NetInbound
}

// open claims what an opened file is good for. Rights count only as far as
// there is a call to use them: a file opened for writing and never written to
// can still be created or cut off, which the flags say.
func (s *summary) open(u *use, add func(*use, bool, ID, string)) {
	r := u.args.rights
	read, write := s.reads && r.read, s.writes && r.write
	unsure := !r.known && read && write
	if read {
		add(u, unsure, FilesRead, "contents")
	}
	if write {
		add(u, unsure, FilesWrite, "contents")
	}
	if r.create && (r.known || s.writes) {
		add(u, !r.known, FilesWrite, "names")
	}
	if !read && !write {
		add(u, false, FilesRead, "metadata")
	}
}

func (s *summary) read(u *use, add func(*use, bool, ID, string)) {
	d := u.args.descriptors
	if s.opens && s.rights.read && !u.owned && d.beyondStreams() {
		add(u, !s.rights.known && s.writes, FilesRead, "contents")
	}
	switch {
	case d.has(0):
		add(u, false, Stdio, "stdin")
	case d.any && !s.opens && !s.connects:
		add(u, false, Stdio, "stdin")
	case d.any:
		add(u, true, Stdio, "stdin")
	case d.other:
		add(u, false, Stdio, "inherited")
	}
}

func (s *summary) write(u *use, add func(*use, bool, ID, string)) {
	d := u.args.descriptors
	if s.opens && s.rights.write && !u.owned && d.beyondStreams() {
		add(u, !s.rights.known && s.reads, FilesWrite, "contents")
	}
	if d.has(1) {
		add(u, false, Stdio, "stdout")
	}
	if d.has(2) {
		add(u, false, Stdio, "stderr")
	}
	unsure := !u.owned && (s.opens || s.connects)
	if d.any {
		add(u, unsure, Stdio, "stdout")
		add(u, unsure, Stdio, "stderr")
	}
	if d.other {
		add(u, unsure, Stdio, "inherited")
	}
}
