// SPDX-License-Identifier: Apache-2.0

// HTTP over TLS for the tests, client or server. With KEYLOG set, Go writes its key log there.
//
//	gomark get URL VERSION REQUEST...  sends each request in a connection of its own, in order, the
//	                                   later ones with the session of the first
//	gomark serve PORT CERT KEY         answers answer-X to request-X
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"io/ioutil"
	"net/http"
	"os"
	"regexp"
	"strings"
)

var versions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "gomark:", err)
		os.Exit(1)
	}
}

func keyLog() io.Writer {
	path := os.Getenv("KEYLOG")
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0600)
	check(err)
	return file
}

func get(url, version string, requests []string) {
	transport := &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: versions[version],
			MaxVersion: versions[version], KeyLogWriter: keyLog(),
			ClientSessionCache: tls.NewLRUClientSessionCache(4)}}
	for turn, request := range requests {
		response, err := (&http.Client{Transport: transport}).Post(url, "text/plain",
			strings.NewReader(request))
		check(err)
		body, err := ioutil.ReadAll(response.Body)
		check(err)
		if response.TLS.DidResume != (turn > 0) {
			check(fmt.Errorf("request %d: resumed %v", turn, response.TLS.DidResume))
		}
		fmt.Println(response.Proto, string(body))
	}
}

func serve(port, cert, key string) {
	word := regexp.MustCompile(`request-([0-9a-z]+)\.`)
	server := &http.Server{Addr: "127.0.0.1:" + port,
		TLSConfig: &tls.Config{KeyLogWriter: keyLog()},
		Handler: http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
			body, _ := ioutil.ReadAll(in.Body)
			if match := word.FindSubmatch(body); match != nil {
				fmt.Fprintf(out, "<p>answer-%s.</p>\n", match[1])
			}
		})}
	check(server.ListenAndServeTLS(cert, key))
}

func main() {
	if len(os.Args) > 4 && os.Args[1] == "get" {
		get(os.Args[2], os.Args[3], os.Args[4:])
	} else if len(os.Args) == 5 && os.Args[1] == "serve" {
		serve(os.Args[2], os.Args[3], os.Args[4])
	} else {
		check(fmt.Errorf("see gomark.go"))
	}
}
