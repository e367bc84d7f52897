import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FORWARDING } from '../../operator/render/forwarding.ts'

/** Envoy's regular expressions match the whole value. */
const matches = (pattern: string, text: string): boolean => new RegExp(`^(?:${pattern})$`).test(text)
/** As the guard has it for wormhole port 80. */
const isForwarded = (address: string): boolean =>
  !matches(FORWARDING.refusedAddresses, address) && matches(`${FORWARDING.addresses}:80`, address)

const FORWARDED = [
  '10.0.0.1:80',
  '10.96.0.1:80',
  '192.168.1.1:80',
  '203.0.113.9:80',
  '223.255.255.254:80',
  '100.64.0.1:80',
  '[2001:db8::1]:80',
  '[fd00::1]:80',
  '[FDAA:1::2]:80',
  '[64:ff9b::c000:201]:80',
]
for (const address of FORWARDED) test(`a call goes on to ${address}`, () => assert.ok(isForwarded(address)))

const NOT_FORWARDED = [
  // the pod itself, its machine
  '127.0.0.1:80',
  '127.8.9.10:80',
  '0.0.0.0:80',
  '[::1]:80',
  '[0:0:0:0:0:0:0:1]:80',
  '[0000::1]:80',
  '[::]:80',
  '[::ffff:127.0.0.1]:80',
  '[::127.0.0.1]:80',
  '169.254.169.254:80',
  '169.254.170.2:80',
  '[fe80::1]:80',
  '[FE80::1]:80',
  '[febf::1]:80',
  '[fd00:ec2::254]:80',
  '[fd00:0ec2::254]:80',
  '100.100.100.200:80',
  // nobody in particular
  '224.0.0.1:80',
  '239.1.2.3:80',
  '255.255.255.255:80',
  '[ff02::1]:80',
  // another port than the one that was called
  '10.0.0.1:443',
  '10.0.0.1:8080',
  '10.0.0.1:10250',
  '10.0.0.1',
  // no address, or several
  '',
  'localhost:80',
  'example.com:80',
  '10.0.0.1:80,127.0.0.1:80',
  '127.0.0.1:80,10.0.0.1:80',
  ' 10.0.0.1:80',
  '10.0.0.1:80 ',
  'unix:///var/run/x:80',
]
for (const address of NOT_FORWARDED) test(`no call goes on to "${address}"`, () => assert.ok(!isForwarded(address)))

test('a call that has come through four global-sidecars goes round', () => {
  const goesRound = (hops: string): boolean => matches(FORWARDING.tooManyHops, hops)
  for (const hops of ['', '-', '1', '-1', '111']) assert.ok(!goesRound(hops), hops)
  for (const hops of ['1111', '-1111', '11111']) assert.ok(goesRound(hops), hops)
})

test('what a pod asks its own machine stays on it, the Services of the mesh do not', () => {
  const staysHere = (host: string): boolean => matches(FORWARDING.machineHosts, host)
  for (const host of [
    '169.254.169.254',
    '169.254.169.254:80',
    '169.254.170.2',
    'metadata.google.internal',
    '[fd00:ec2::254]:80',
    '100.100.100.200',
  ])
    assert.ok(staysHere(host), host)
  for (const host of [
    'metadata',
    'metadata.default',
    '169.254.shop',
    '10.0.0.1',
    'xmetadata.google.internal',
    'metadata.google.internal.shop',
  ])
    assert.ok(!staysHere(host), host)
})
