export class Engine {
  home: string
  static start(program: string, home: string, name: string): Promise<Engine>
  request(request: unknown): Promise<{ reply: string; data?: unknown }>
  stop(): Promise<void>
}
export function bridge(engine: Engine): Promise<{ url: string; stop: () => void }>
