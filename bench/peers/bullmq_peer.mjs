// The exercise for BullMQ: `node bullmq_peer.mjs worker`, or a driver that reads commands from its standard input,
// one a line, and answers each with one line of JSON (see run.py).
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

// Installed beside the environment of the others, not here.
const require = createRequire(`${process.env.PEER_MODULES}/`)
const { FlowProducer, Queue, Worker } = require('bullmq')
const Redis = require('ioredis')

const url = process.env.PEER_REDIS
const connection = () => new Redis(url, { maxRetriesPerRequest: null })
const store = connection()
const seconds = () => Date.now() / 1000
const keep = { removeOnComplete: true, removeOnFail: true }

if (process.argv[2] === 'worker') {
  const bodies = {
    noop: async () => {},
    ping: async job => { await store.rpush('peer:waits', seconds() - job.data.at) },
    slow: async () => {
      await store.rpush('peer:starts', `${seconds()} ${process.pid}`)
      await new Promise(resolve => setTimeout(resolve, 3000))
    },
    join: async () => { await store.set('peer:joined', seconds()) },
  }
  new Worker('peer', job => bodies[job.name](job), { connection: connection(), concurrency: 100 })
} else {
  const queue = new Queue('peer', { connection: connection() })
  const flows = new FlowProducer({ connection: connection() })
  const commands = {
    async enqueue (n) {
      for (let sent = 0; sent < n; sent += 1000) {
        await queue.addBulk(Array.from({ length: 1000 }, (_, i) => ({ name: 'noop', data: { n: sent + i }, opts: keep })))
      }
    },
    async left () {
      const counts = await queue.getJobCounts('wait', 'active', 'waiting-children', 'prioritized')
      return Object.values(counts).reduce((sum, n) => sum + n, 0)
    },
    async ping_once () { await queue.add('ping', { at: seconds() }, keep) },
    async group (n) {
      const children = Array.from({ length: n }, (_, i) => ({ name: 'noop', queueName: 'peer', data: { n: i }, opts: keep }))
      await flows.add({ name: 'join', queueName: 'peer', opts: keep, children })
    },
    async start_slow () { await queue.add('slow', {}, keep) },
  }
  for await (const line of createInterface({ input: process.stdin })) {
    const [name, n] = line.split(' ')
    console.log(JSON.stringify((await commands[name](Number(n))) ?? null))
  }
  process.exit()
}
