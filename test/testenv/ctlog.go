package testenv

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
)

// A ctLog promises to log certificates (RFC 6962, sections 3 and 4.1 to 4.2) and
// logs none: a promise is all that a certificate carries.
type ctLog struct {
	url    string // of the log
	server *httptest.Server
	key    *ecdsa.PrivateKey
	id     [sha256.Size]byte
}

func startCTLog(t testing.TB) *ctLog {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	l := &ctLog{key: key, id: sha256.Sum256(der)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /test/ct/v1/add-chain", l.add(ct.X509LogEntryType))
	mux.HandleFunc("POST /test/ct/v1/add-pre-chain", l.add(ct.PrecertLogEntryType))
	l.server = httptest.NewServer(mux)
	l.url = l.server.URL + "/test"
	t.Cleanup(l.server.Close)
	return l
}

func (l *ctLog) add(what ct.LogEntryType) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, err := l.promise(what, http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		reply(w, http.StatusOK, answer)
	}
}

func (l *ctLog) promise(what ct.LogEntryType, body io.Reader) (*ct.AddChainResponse, error) {
	var req ct.AddChainRequest
	if err := json.NewDecoder(body).Decode(&req); err != nil {
		return nil, err
	}
	if len(req.Chain) == 0 {
		return nil, errors.New("a chain without certificates")
	}
	var chain []ct.ASN1Cert
	for _, der := range req.Chain {
		chain = append(chain, ct.ASN1Cert{Data: der})
	}
	now := uint64(time.Now().UnixMilli())
	leaf, err := ct.MerkleTreeLeafFromRawChain(chain, what, now)
	if err != nil {
		return nil, err
	}
	sct := ct.SignedCertificateTimestamp{SCTVersion: ct.V1, LogID: ct.LogID{KeyID: l.id}, Timestamp: now}
	input, err := ct.SerializeSCTSignatureInput(sct, ct.LogEntry{Leaf: *leaf})
	if err != nil {
		return nil, err
	}
	signature, err := tls.CreateSignature(crypto.PrivateKey(*l.key), tls.SHA256, input)
	if err != nil {
		return nil, err
	}
	text, err := tls.Marshal(signature)
	if err != nil {
		return nil, err
	}
	return &ct.AddChainResponse{SCTVersion: ct.V1, ID: l.id[:], Timestamp: now, Signature: text}, nil
}
