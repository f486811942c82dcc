// SPDX-License-Identifier: Apache-2.0

// A client and a server on Go's crypto/tls, from Go 1.15 on. Two connections of TLS 1.2 and two of
// TLS 1.3; the second of each resumes the first one's session. Waits for a line on standard input
// before it begins, and writes a line for each connection to standard error. With KEYLOG set, a key
// log goes to that file.
//
//	gotls            both sides
//	gotls ADDR:PORT  the client of another server
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotls:", err)
		os.Exit(1)
	}
}

func certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	check(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
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

func serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		check(err)
		_, err = conn.Write([]byte("hello\n"))
		check(err)
		_, err = bufio.NewReader(conn).ReadString('\n')
		check(err)
		conn.Close()
	}
}

func connect(address string, config *tls.Config) {
	conn, err := tls.Dial("tcp", address, config)
	check(err)
	// The answer brings the session ticket along.
	_, err = conn.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
	check(err)
	_, err = bufio.NewReader(conn).ReadString('\n')
	check(err)
	state := conn.ConnectionState()
	fmt.Fprintf(os.Stderr, "gotls: %x resumed %v\n", state.Version, state.DidResume)
	conn.Close()
}

func main() {
	var address string

	writer := keyLog()
	if len(os.Args) > 1 {
		address = os.Args[1]
	} else {
		listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
			Certificates: []tls.Certificate{certificate()},
			KeyLogWriter: writer,
		})
		check(err)
		address = listener.Addr().String()
		go serve(listener)
	}
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	check(err)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := &tls.Config{
			InsecureSkipVerify: true,
			MinVersion:         version,
			MaxVersion:         version,
			ClientSessionCache: tls.NewLRUClientSessionCache(4),
			KeyLogWriter:       writer,
		}
		connect(address, config)
		connect(address, config)
	}
}
