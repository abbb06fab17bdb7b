package jamftest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

const (
	jsonType    = "application/json"
	classicType = "text/plain;charset=UTF-8" // of the Classic API's JSON
	htmlType    = "text/html;charset=UTF-8"
)

// handler answers a request from the server's state, which is locked.
type handler func(*http.Request) answer

// answer is what a handler has to say; which words it is said in depends on
// the API that was asked.
type answer struct {
	status int
	body   any
}

func found(body any) answer { return answer{http.StatusOK, body} }

func notFound() answer { return answer{http.StatusNotFound, apiError(http.StatusNotFound, "")} }

func badPage() answer {
	return answer{http.StatusBadRequest, apiError(http.StatusBadRequest, "INVALID_PAGE")}
}

func rejected() answer {
	return answer{http.StatusUnauthorized, apiError(http.StatusUnauthorized, "INVALID_TOKEN")}
}

func forbidden() answer {
	return answer{http.StatusForbidden, apiError(http.StatusForbidden, "INVALID_PRIVILEGE")}
}

// apiError is how the newer API says no.
func apiError(status int, code string) map[string]any {
	errors := []map[string]any{}
	if code != "" {
		errors = append(errors, map[string]any{"code": code, "description": http.StatusText(status), "id": "0", "field": nil})
	}
	return map[string]any{"httpStatus": status, "errors": errors}
}

func (a answer) write(w http.ResponseWriter, r *http.Request) {
	contentType := jsonType
	if !strings.HasPrefix(r.URL.Path, "/api/") {
		if a.status != http.StatusOK {
			a.writeClassicError(w)
			return
		}
		contentType = classicType
	}
	b, err := json.Marshal(a.body)
	if err != nil {
		panic(err) // bodies are this package's own
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(a.status)
	w.Write(b)
}

// writeClassicError writes a page, whatever was asked for. The Classic API
// has no 403, and names what is wrong only where it is the token.
func (a answer) writeClassicError(w http.ResponseWriter) {
	switch a.status {
	case http.StatusUnauthorized:
		writeHTML(w, http.StatusUnauthorized, "INVALID_TOKEN")
	case http.StatusForbidden:
		writeHTML(w, http.StatusUnauthorized, "The request requires user authentication")
	default:
		writeHTML(w, a.status, http.StatusText(a.status))
	}
}

func writeHTML(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", htmlType)
	w.WriteHeader(status)
	w.Write([]byte(page(text)))
}

func page(text string) string {
	return fmt.Sprintf("<html>\n<head>\n<title>Status page</title>\n</head>\n<body>\n<p>%s</p>\n</body>\n</html>\n", text)
}
