/** Results checked against Go 1.26's text/template with sprig's functions, over values decoded as Kubernetes decodes them (whole numbers as int64). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GoTemplateError, runGoTemplate, valuesKeysOf } from '../../../operator/spec/go-template.ts'

const VALUES: unknown = JSON.parse(
  '{"foo":"bar","namespace":"mesh-operator","n":80,"neg":-3,"big":1000000,"f":1.5,"float":1234567.5,"tiny":0.00001,"t":true,"zero":0,"empty":"","none":null,' +
    '"map":{"a":{"b":"deep"}},"emptyMap":{},"list":[1],"greek":"straße ΑΣ","spaces":"\\u00a0 x\\u0085","control":"a\\u0007\\u001b\\u007f\\u200b\\ud83d\\ude00é","huge":1e21}',
)

const RESULTS: readonly (readonly [template: string, result: string])[] = [
  ['PassthroughCluster', 'PassthroughCluster'],
  ['outbound|80||egress1.testns.svc.cluster.local', 'outbound|80||egress1.testns.svc.cluster.local'],
  ['{{ (print .Values.foo "." .Values.namespace ) }}', 'bar.mesh-operator'],
  ['{{.Values.foo}}{{.Values.n}}', 'bar80'],
  ['{{ .Values.map.a.b }}', 'deep'],
  ['a }} b { {x} }', 'a }} b { {x} }'],
  ['{{ "}}" }}', '}}'],
  ['{{\n.Values.foo\n}}', 'bar'],
  ['a {{- .Values.foo -}} b', 'abarb'],
  ['a {{ .Values.foo -}}\n b', 'a barb'],
  ['x{{- " " -}} y', 'x y'],
  ['{{ .Values.neg }}', '-3'],
  ['{{ -3 }}{{ +5 }}', '-35'],
  ['{{ .Values.big }}', '1000000'],
  ['{{ .Values.f }} {{ .Values.float }} {{ .Values.tiny }}', '1.5 1.2345675e+06 1e-05'],
  ['{{ true }}', 'true'],
  ['{{ `raw "x" \\n` }}', 'raw "x" \\n'],
  ['{{ "a\\tb\\"\\u00e9\\\\" }}', 'a\tb"é\\'],
  ['{{ print }}', ''],
  ['{{ print 1 2 }}', '1 2'],
  ['{{ print 1 "a" 2 3 }}', '1a2 3'],
  ['{{ print .Values.n .Values.t }}', '80 true'],
  ['{{ print "a" "b" }}', 'ab'],
  ['{{ print (print 1) (print 2) }}', '12'],
  ['{{ "a" | print "b" }}', 'ba'],
  ['{{ 1 | print 2 }}', '2 1'],
  ['{{ printf "%s-%d-%v-%q-%%" .Values.foo .Values.n .Values.t .Values.foo }}', 'bar-80-true-"bar"-%'],
  ['{{ printf "%v" .Values.f }}', '1.5'],
  ['{{ .Values.foo | upper | quote }}', '"BAR"'],
  ['{{ quote .Values.foo 1 true }}', '"bar" "1" "true"'],
  ['{{ .Values.control | quote }}', '"a\\a\\x1b\\x7f\\u200b😀é"'],
  ['{{ default "x" .Values.missing }}', 'x'],
  ['{{ .Values.none | default "x" }}', 'x'],
  ['{{ .Values.zero | default 5 }}{{ .Values.empty | default "x" }}{{ .Values.emptyMap | default "y" }}', '5xy'],
  ['{{ .Values.t | default "x" }}', 'true'],
  ['{{ .Values.missing | default .Values.foo | upper }}', 'BAR'],
  ['{{ lower "ABC" }}{{ upper .Values.greek }}{{ lower .Values.greek }}', 'abcSTRAßE ΑΣstraße ασ'],
  ['[{{ trim .Values.spaces }}]', '[x]'],
  ['{{ replace "." "-" "a.b.c" }}', 'a-b-c'],
  ['{{ "a.b" | replace "." "$&" }}', 'a$&b'],
  ['{{ replace "" "-" "aé" }}', '-a-é-'],
]

for (const [template, result] of RESULTS) {
  test(`${template} gives ${JSON.stringify(result)}`, () => assert.equal(runGoTemplate(template, VALUES), result))
}

const REFUSED: readonly string[] = [
  '{{',
  '{{ }}',
  '{{ -}} x',
  '{{ "a',
  '{{ "a\nb" }}',
  '{{ ( print 1 }}',
  '{{ print 1 ) }}',
  '{{ print "a"1 }}',
  '{{ print(1) }}',
  '{{ . }}',
  '{{ .Values }}',
  '{{ $.Values.foo }}',
  '{{ .Release.Name }}',
  '{{ .values.foo }}',
  '{{ .Values.foo-bar }}',
  '{{ (print 1).x }}',
  '{{ if true }}a{{ end }}',
  '{{ include "x" }}',
  '{{ len "a" }}',
  '{{/* c */}}',
  '{{ nil }}',
  '{{ foo }}',
  '{{ $x := 1 }}',
  '{{ "a" "b" }}',
  '{{ .Values.foo "b" }}',
  '{{ "a" | "b" }}',
  '{{ | print }}',
  '{{ print lower }}',
  '{{ .Values.missing }}',
  '{{ .Values.none }}',
  '{{ .Values.missing.a }}',
  '{{ .Values.foo.a }}',
  '{{ .Values.list }}',
  '{{ .Values.map }}',
  '{{ .Values.huge }}',
  '{{ print .Values.missing "." }}',
  '{{ quote .Values.missing }}',
  '{{ printf "%s" .Values.missing }}',
  '{{ lower .Values.missing }}',
  '{{ printf }}',
  '{{ printf "%s" }}',
  '{{ printf "a" "b" }}',
  '{{ printf "%5s" "a" }}',
  '{{ printf "%d" .Values.f }}',
  '{{ printf "%d" "1" }}',
  '{{ printf "%s" 1 }}',
  '{{ printf "%" }}',
  '{{ printf "%x" 1 }}',
  '{{ lower 1 }}',
  '{{ lower "a" "b" }}',
  '{{ replace "a" "b" }}',
  '{{ replace "a" 1 "b" }}',
  '{{ default }}',
  '{{ default 1 2 3 }}',
  "{{ 'a' }}",
  '{{ 0x10 }}',
  '{{ 010 }}',
  '{{ 1_000 }}',
  '{{ 1.5 }}',
  '{{ "\\x41" }}',
  '{{ "\\q" }}',
  '{{ "\\ud800" }}',
  '{{ "\\u12" }}',
  '{{ .Values.constructor }}',
  '{{ .Values.__proto__ }}',
  '{{ .Values.map.toString }}',
  '{{ constructor }}',
  '{{ __proto__ }}',
  '{{ toString "a" }}',
  `{{ ${'('.repeat(100)}print 1${')'.repeat(100)} }}`,
  'x'.repeat(5000),
]

for (const template of REFUSED) {
  test(`${template.slice(0, 50)} is refused`, () => assert.throws(() => runGoTemplate(template, VALUES), GoTemplateError))
}

test('a template that would grow without end is refused quickly', () => {
  const growing = `{{ "aaaaaaaa" ${'| replace "a" "aaaaaaaaaaaaaaaa" '.repeat(60)} }}`
  const started = performance.now()
  assert.throws(() => runGoTemplate(growing, VALUES), GoTemplateError)
  assert.throws(() => runGoTemplate(`{{ print ${'(print '.repeat(30)}"a"${')'.repeat(30)} }}`.repeat(70), VALUES), GoTemplateError)
  assert.ok(performance.now() - started < 500)
})

test('a key that is not set is named', () => {
  assert.throws(() => runGoTemplate('{{ print .Values.map.x "." }}', VALUES), { message: '.Values.map.x is not set' })
})

test('the keys that a template reads are found in pipelines and parentheses', () => {
  assert.deepEqual(valuesKeysOf('{{ print (.Values.a | default .Values.b.c) }}x{{ .Values.d }}'), ['a', 'b', 'd'])
})
