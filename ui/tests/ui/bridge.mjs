// A real engine behind HTTP: starts `evenfold daemon` on a home of its own and passes requests to its control socket.
// POST /request (JSON in, JSON out, 400 with an error of the node), GET /events (server-sent events), POST /shell: what the desktop
// reads for the window.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, stat, statfs } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** Longest wait for a daemon's socket, in milliseconds; generous, the machine may be busy. */
const patience = 60_000

export class Engine {
  #calls = new Map()
  #next = 1

  constructor(process, socket, home) {
    this.process = process
    this.socket = socket
    this.home = home
    createInterface({ input: socket }).on('line', (line) => this.#hear(JSON.parse(line)))
  }

  static async start(program, home, name) {
    const daemon = spawn(program, ['--home', home, 'daemon', '--listen', '127.0.0.1:0', '--name', name], { stdio: 'ignore' })
    const until = Date.now() + patience
    for (;;) {
      const socket = connect(join(home, 'control.sock'))
      const won = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'error').then(() => false).catch(() => false)]).catch(() => false)
      if (won) {
        socket.write(`${JSON.stringify({ evenfold: 1, version: '0.1.0' })}\n`)
        return new Engine(daemon, socket, home)
      }
      if (Date.now() > until) throw new Error(`no engine at ${home}`)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  #hear(message) {
    for (const [kind, body] of Object.entries(message)) {
      const call = this.#calls.get(body?.id)
      if (!call) continue
      if (kind === 'event') call.event?.(body.event)
      else {
        this.#calls.delete(body.id)
        if (kind === 'reply') call.resolve(body.reply)
        else call.reject(body.error)
      }
    }
  }

  request(request, event) {
    const id = this.#next++
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject, event })
      this.socket.write(`${JSON.stringify({ call: { id, request } })}\n`)
    })
  }

  async stop() {
    const ended = once(this.process, 'exit')
    this.process.kill('SIGTERM')
    await ended
  }
}

/** Serves an engine; the address is for `?bridge=`. */
export async function bridge(engine) {
  const headers = { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*' }
  const server = createServer(async (request, response) => {
    if (request.url === '/events') {
      response.writeHead(200, { ...headers, 'content-type': 'text/event-stream' })
      response.write(':\n\n')
      engine.request({ request: 'subscribe' }, (event) => response.write(`data: ${JSON.stringify(event)}\n\n`)).catch(() => response.end())
      return
    }
    let body = ''
    for await (const chunk of request) body += chunk
    if (request.url === '/shell') {
      const answer = await shell(engine, JSON.parse(body)).catch((error) => ({ failed: String(error) }))
      response.writeHead(answer.failed ? 400 : 200, headers).end(JSON.stringify(answer))
      return
    }
    // The answer first: headers cannot be taken back.
    const [status, answer] = await engine.request(JSON.parse(body)).then(
      (reply) => [200, reply],
      (error) => [400, error],
    )
    response.writeHead(status, headers).end(JSON.stringify(answer))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${server.address().port}`, stop: () => server.closeAllConnections() ?? server.close() }
}

/** Reads files of a relationship, and counts what stands in a folder. */
async function shell(engine, { name, relationship, what, path }) {
  if (name === 'read-text') {
    // What is kept of the past is the engine's own matter.
    if (what.version) return { kind: 'binary' }
    const found = await engine.request({ request: 'rel-show', relationship })
    return { kind: 'text', text: await readFile(join(found.data.path, what.path.path), 'utf8') }
  }
  const all = await readdir(path.path, { recursive: true })
  const sizes = await Promise.all(all.map((one) => stat(join(path.path, one))))
  const files = sizes.filter((one) => one.isFile())
  const disk = await statfs(path.path)
  return { files: files.length, bytes: files.reduce((sum, one) => sum + one.size, 0), ignored: 0, free_bytes: disk.bavail * disk.bsize }
}
