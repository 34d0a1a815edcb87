// node:http with what the probe app has: with its own timeouts, or (`server.js 3000`) with all of them so many milliseconds long.
// Prints its address and that of a page with the number of its open connections, then serves until it is killed.
'use strict';
const { createHash } = require('node:crypto');
const http = require('node:http');

function answer(request, response) {
  const [, name, number] = request.url.split('/');
  const end = (status, text) => response.writeHead(status).end(text);
  switch (`${request.method} /${name}`) {
    case 'GET /':
      return end(200, 'ok');
    case 'POST /echo': {
      const digest = createHash('sha256');
      let length = 0;
      request.on('data', (data) => { length += data.length; digest.update(data); });
      return request.on('end', () => end(200, `${length} ${digest.digest('hex')}`));
    }
    case 'POST /reject':
      return end(403, 'rejected');
    case 'GET /big':
      return end(200, Buffer.alloc(Number(number), 'x'));
    case 'GET /slow':
      return setTimeout(() => end(200, 'ok'), Number(number));
    case 'POST /stream':
      response.writeHead(200);
      return request.pipe(response);
    default:
      return end(404, 'not found');
  }
}

const timeouts = Number(process.argv[2] ?? 0);
const options = timeouts && {
  headersTimeout: timeouts,
  requestTimeout: timeouts,
  keepAliveTimeout: timeouts,
  connectionsCheckingInterval: 500,
};
const server = http.createServer(options || {}, answer);
const admin = http.createServer((_, response) => {
  server.getConnections((_, open) => response.end(`${open}\n`));
});
admin.listen(0, '127.0.0.1', () => server.listen(0, '127.0.0.1', () => {
  const at = (one) => `127.0.0.1:${one.address().port}`;
  console.log(at(server), at(admin));
}));
