export async function downloadControlPlane(_folder: string, _environment: NodeJS.ProcessEnv): Promise<void> {
  throw new Error('not written yet')
}
