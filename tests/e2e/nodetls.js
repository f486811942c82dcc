// SPDX-License-Identifier: Apache-2.0
// TLS for the tests, in any Node since 6: a client that asks again and again, or a server.
'use strict';
const tls = require('tls');
const fs = require('fs');
const plan = JSON.parse(process.argv[2]);
const sessions = {};

function limit(options, version) {
	// Those that do not know these options have TLS 1.2 only.
	options.minVersion = options.maxVersion = 'TLSv' + version;
	return options;
}

function log(line) {
	if (plan.own)
		fs.appendFileSync(plan.own, line);
}

function ask(steps) {
	if (!steps.length)
		return;
	const step = steps[0];
	const options = limit({host: '127.0.0.1', port: plan.port, servername: 'localhost',
		ca: fs.readFileSync(plan.cert)}, step.tls);
	if (step.resume)
		options.session = sessions[step.tls];
	const socket = tls.connect(options, function () {
		if (step.resume && !socket.isSessionReused())
			throw new Error('not resumed');
		socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ' +
			step.request.length + '\r\n\r\n' + step.request);
	});
	let text = '', session = !step.keep;
	function next() {
		if (text.indexOf('</p>') < 0 || !session)
			return;
		if (step.keep && !sessions[step.tls])
			sessions[step.tls] = socket.getSession();
		process.stdout.write(text);
		socket.end();
	}
	socket.on('keylog', log);
	socket.on('session', function (data) {
		sessions[step.tls] = data;
		session = true;
		next();
	});
	socket.on('data', function (data) {
		text += data;
		// A session of TLS 1.2 is there after the handshake, one of 1.3 comes later.
		if (step.tls === '1.2')
			session = true;
		next();
	});
	socket.on('close', function () {
		ask(steps.slice(1));
	});
}

function serve() {
	const server = tls.createServer({key: fs.readFileSync(plan.key),
		cert: fs.readFileSync(plan.cert)}, function (socket) {
		let text = '';
		socket.on('data', function (data) {
			text += data;
			const match = /request-([0-9a-z]+)\./.exec(text);
			if (match) {
				const body = '<p>answer-' + match[1] + '.</p>\n';
				text = '';
				socket.write('HTTP/1.1 200 OK\r\nContent-Length: ' + body.length +
					'\r\n\r\n' + body);
			}
		});
		socket.on('error', function () {});
	});
	server.on('keylog', log);
	server.listen(plan.port, '127.0.0.1');
}

if (plan.steps)
	ask(plan.steps);
else
	serve();
