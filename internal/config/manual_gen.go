// Code generated from the comments in config.go by UPDATE=1 go test. DO NOT EDIT.

package config

var manual = map[string]string{
	"listen":                  "Address and port to serve on. Without authentication and TLS it has to be a loopback address, unless insecure_public is set.",
	"insecure_public":         "Serve on a public address although authentication or TLS is missing. Whoever reaches the port may then write packages, or read what passes on the network; meant for a server behind a proxy that adds what is missing.",
	"data":                    "Folder in which wreg keeps everything that has no other place. It is made if it is absent.",
	"database":                "Database of the metadata. The path of an SQLite file, or a PostgreSQL address like postgres://user:password@host/name, which several servers may share. Passwords never appear in logs.",
	"storage":                 "Storage of the blobs. fs:DIR keeps files in a folder. mem: forgets them at exit, for trials whose data folder is thrown away as well. And distribution+NAME:PREFIX?parameter=value uses a storage driver of the distribution project with the parameters it has there, for instance distribution+filesystem:DIR; its uploads are spooled in DATA/spool.",
	"shutdown_grace":          "Time that running requests get to finish after SIGTERM or SIGINT. What still runs then is cut off. A second signal ends the server at once.",
	"tls.cert":                "PEM file of the certificate, followed by its intermediates. It is read again when it changes; a pair that does not fit together leaves the old one in use.",
	"tls.key":                 "PEM file of the certificate's private key. It needs tls.cert, and tls.cert needs it.",
	"auth.htpasswd":           "File of user names and bcrypt hashes, as htpasswd -B writes it. It is read again when it changes. Without it everyone who reaches the server may do everything.",
	"auth.anonymous_pull":     "Namespaces that may be read without logging in. \"team\" opens team and everything below team/, \"*\" opens all. It needs auth.htpasswd.",
	"auth.admins":             "Names of users who may administer: change policies, see to jobs, index again. They may approve as well. It needs auth.htpasswd; without that, everyone may.",
	"auth.approvers":          "Names of users who may approve: let a package pass in spite of a policy, and fetch what a policy holds back. It needs auth.htpasswd.",
	"registry.immutable_tags": "Tags that never move once written. semver means full versions such as 1.2.3 or v1.2.3-rc.1, and view tags of such; none means that every tag may move. Pushing the same content again always succeeds.",
	"registry.sparse":         "Accept indexes and manifests whose parts are not stored here. Otherwise a push that names absent blobs or manifests is refused.",
	"limits.max_manifest":     "Largest manifest. Manifests live in the database; the distribution specification asks for at least 4 MiB.",
	"limits.max_blob":         "Largest blob. A longer upload is refused when it crosses the limit.",
	"limits.max_uploads":      "Blob uploads that may be open at the same time. Beyond it a new upload is answered with 429.",
	"limits.upload_expiry":    "Time after which an upload that receives nothing is forgotten. The client has to begin it again.",
	"limits.max_concurrent":   "Requests that may run at the same time. Beyond it the answer is 503 with Retry-After.",
	"limits.max_header":       "Largest request header.",
	"limits.header_timeout":   "Time a client has to send the header of a request. It also bounds the TLS handshake.",
	"limits.idle_timeout":     "Time a connection may stay open between two requests.",
	"limits.stall_timeout":    "Time a body may make no progress, in either direction. A connection that moves is never cut, however slow the transfer is.",
	"log.format":              "Form of the log lines. text is for people, json for collectors.",
	"log.level":               "Least level that is written. info includes one line a request; debug includes health checks.",
	"metrics.listen":          "Address of a listener of its own for /metrics, /healthz and /readyz. Without it /metrics is served beside the registry; off serves no metrics.",
}
