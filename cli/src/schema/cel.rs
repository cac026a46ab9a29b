//! A JSON Schema, as an expression in CEL.
//!
//! The expression of a schema and a value is the list of what is wrong with that value: strings
//! of the form `PLACE: WHAT IS ALLOWED`, places relative to the value, of which the first counts.
//! Every access is guarded, so that none can end in an error, and CEL has no functions, so that
//! each schema stands where it is used. What the CEL of Kubernetes 1.30 lacks is not used.

use super::rules::{Rule, Says};
use serde_json::{Map, Value};

type Schema = Map<String, Value>;

/// The list in which nothing is wrong.
const NOTHING: &str = "[]";

/// Keywords that say something to people or editors only.
const TOLD: [&str; 6] = ["$schema", "default", "description", "examples", "format", "title"];

/// Makes expressions of the schemas of one document.
pub(super) struct Compiler<'a> {
    /// Where references lead.
    pub(super) document: &'a Value,
    pub(super) rules: &'a [Rule],
}

/// The types of JSON, as schemas name them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Object,
    Array,
    String,
    Boolean,
    Integer,
    Number,
    Null,
}

/// A condition for a scalar, and what is said where it does not hold.
struct Condition {
    holds: String,
    says: String,
}

/// A place in the configuration: fields by name, `[]` for items and `.*` for values of maps.
/// The value there is an expression.
struct Place {
    at: String,
    value: String,
    /// How many variables are in scope.
    depth: usize,
}

impl Compiler<'_> {
    /// What is wrong with the field `name` of `object`, which is an object of this schema.
    pub(super) fn field(&self, object: &str, name: &str, schema: &Value) -> String {
        let place = Place { at: name.to_owned(), value: member(object, name), depth: 0 };
        let wrong = self.value(&place, schema);
        if_there(object, name, &prefixed(&wrong, &literal(&format!(".{name}"))))
    }

    /// What is wrong with the names of an object's fields.
    pub(super) fn names(&self, object: &str, schema: &Value) -> String {
        let flat = self.flat(schema);
        let [unknown, missing] = self.unknown_and_missing(object, &flat, 0);
        join(unknown.into_iter().chain(missing))
    }

    /// What the rules say of the whole, once nothing else is wrong with it.
    pub(super) fn whole(&self, object: &str) -> String {
        let place = Place { at: String::new(), value: object.to_owned(), depth: 0 };
        join(self.rules_at(&place).map(|rule| rule_of_place(rule, &place)))
    }

    pub(super) fn properties(&self, schema: &Value) -> Vec<(String, Value)> {
        let properties = self.flat(schema).remove("properties");
        let Some(Value::Object(properties)) = properties else { panic!("it has no properties") };
        properties.into_iter().collect()
    }

    fn value(&self, place: &Place, schema: &Value) -> String {
        let alternatives = self.alternatives(schema);
        let types =
            alternatives.iter().map(|(of, _)| of.expected()).collect::<Vec<_>>().join(" or ");
        if alternatives.iter().all(|(of, _)| of.is_scalar()) {
            return chain(&self.scalar(place, schema));
        }
        let wrong_type = format!("[{}]", literal(&format!(": expected {types}")));
        let structure = alternatives.iter().rev().fold(wrong_type, |otherwise, (of, schema)| {
            let wrong = match of {
                Type::Object => self.object(place, schema),
                Type::Array => self.array(place, schema),
                _ => chain(&self.conditions(place, *of, schema)),
            };
            // Only the last branch may be a choice itself.
            format!("{} ? (\n{}\n) :\n{otherwise}", of.test(&place.value), indented(&wrong))
        });
        let rules = join(self.rules_at(place).map(|rule| rule_of_place(rule, place)));
        if rules == NOTHING {
            return structure;
        }
        let wrong = format!("wrong{}", place.depth);
        format!(
            "[\n{}\n].map({wrong}, {wrong}.size() > 0 ? {wrong} :\n{}\n)[0]",
            indented(&structure),
            indented(&rules)
        )
    }

    fn object(&self, place: &Place, schema: &Schema) -> String {
        let Place { at, value, depth } = place;
        if let Some(values) = schema.get("additionalProperties").filter(|a| a.is_object()) {
            return self.map(place, schema, values);
        }
        let [unknown, missing] = self.unknown_and_missing(value, schema, *depth);
        let fields = self.alike(place, schema).into_iter().map(|names| match &names[..] {
            [(name, schema)] => {
                let at = format!("{at}.{name}");
                let inner = Place { at, value: member(value, name), depth: *depth };
                let wrong = self.value(&inner, schema);
                let wrong = if_there(value, name, &prefixed(&wrong, &literal(&format!(".{name}"))));
                format!("({wrong})")
            }
            [(first, schema), ..] => {
                let field = format!("field{depth}");
                let inner = in_variable(place, first, &field);
                let wrong = prefixed(&self.value(&inner, schema), &format!("'.' + {field}"));
                let names: Vec<_> = names.iter().map(|(name, _)| *name).collect();
                let there = format!("{}.filter({field}, {field} in {value})", list(&names));
                first_of(&there, &field, &wrong)
            }
            [] => NOTHING.to_owned(),
        });
        let most = schema.get("maxProperties").map(|most| {
            let names = names(schema).join(", ");
            let says = format!(": only {most} of {names} is allowed here");
            format!("({value}.size() > {most} ? [{}] : {NOTHING})", literal(&says))
        });
        join(unknown.into_iter().chain(missing).chain(fields).chain(most))
    }

    /// The fields of an object, together where nothing differs but their names.
    fn alike<'a>(&self, place: &Place, schema: &'a Schema) -> Vec<Vec<(&'a str, &'a Value)>> {
        let mut groups: Vec<(String, Vec<_>)> = Vec::new();
        let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        for (name, schema) in fields {
            let wrong = self.value(&in_variable(place, name, "field"), schema);
            match groups.iter_mut().find(|(known, _)| *known == wrong) {
                Some((_, group)) => group.push((name.as_str(), schema)),
                None => groups.push((wrong, vec![(name.as_str(), schema)])),
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }

    /// Fields that there are not, and required ones that are missing.
    fn unknown_and_missing(
        &self,
        value: &str,
        schema: &Schema,
        depth: usize,
    ) -> [Option<String>; 2] {
        let known = names(schema);
        let key = format!("key{depth}");
        let unknown =
            (schema.get("additionalProperties") == Some(&Value::Bool(false))).then(|| {
                let says = format!(": unknown field; allowed: {}", known.join(", "));
                format!(
                    "{value}.filter({key}, !({key} in {}))\n  .map({key}, {} + {})",
                    list(&known),
                    step(&key),
                    literal(&says)
                )
            });
        let required: Vec<_> = texts(schema.get("required"));
        let missing = (!required.is_empty()).then(|| {
            format!(
                "{}.filter({key}, !({key} in {value}))\n  .map({key}, {} + {key} + {})",
                list(&required),
                literal(": the field "),
                literal(" is required")
            )
        });
        [unknown, missing]
    }

    /// An object whose names are free.
    fn map(&self, place: &Place, schema: &Schema, values: &Value) -> String {
        let Place { at, value, depth } = place;
        let key = format!("key{depth}");
        let inner =
            Place { at: format!("{at}.*"), value: format!("{value}[{key}]"), depth: depth + 1 };
        // A map has no order, so a place in it is one in a list of its names.
        let list = format!("keys{depth}");
        let names = schema.get("propertyNames").map(|names| {
            let name = Place { at: String::new(), value: key.clone(), depth: depth + 1 };
            format!("({})", self.each_scalar(&list, &key, &step(&key), &self.scalar(&name, names)))
        });
        let values = self.each(&inner, &list, &key, &step(&key), values);
        let wrong = join(names.into_iter().chain(values));
        format!("[{value}.map({key}, {key})].map({list},\n{}\n)[0]", indented(&wrong))
    }

    fn array(&self, place: &Place, schema: &Schema) -> String {
        let Place { at, value, depth } = place;
        let item = format!("item{depth}");
        let step = index(value, &item);
        let inner = Place { at: format!("{at}[]"), value: item.clone(), depth: depth + 1 };
        let items =
            schema.get("items").and_then(|items| self.each(&inner, value, &item, &step, items));
        let least = schema.get("minItems").map(|least| {
            let says = format!(": at least {least} is required");
            format!("({value}.size() < {least} ? [{}] : {NOTHING})", literal(&says))
        });
        let most = schema.get("maxItems").map(|most| {
            let says = format!(": at most {most} are allowed");
            format!("({value}.size() > {most} ? [{}] : {NOTHING})", literal(&says))
        });
        join(least.into_iter().chain(most).chain(items))
    }

    /// What is wrong with the values of a list or map; of large ones only the first.
    fn each(
        &self,
        inner: &Place,
        all: &str,
        variable: &str,
        step: &str,
        schema: &Value,
    ) -> Option<String> {
        if self.alternatives(schema).iter().all(|(of, _)| of.is_scalar()) {
            let wrong = self.each_scalar(all, variable, step, &self.scalar(inner, schema));
            return Some(format!("({wrong})"));
        }
        Some(first_of(all, variable, &prefixed(&self.value(inner, schema), step)))
    }

    /// The first of the items that a condition does not hold for; see [`first_without`].
    fn each_scalar(
        &self,
        all: &str,
        variable: &str,
        step: &str,
        conditions: &[Condition],
    ) -> String {
        conditions.iter().rev().fold(NOTHING.to_owned(), |otherwise, Condition { holds, says }| {
            let places = first_without(all, variable, step, holds);
            format!(
                "false in {all}.map({variable}, {holds}) ? {places}\n  .map(place, place + {}) :\n{otherwise}",
                literal(says)
            )
        })
    }

    /// The conditions of a value that is no list and no object, its type first.
    fn scalar(&self, place: &Place, schema: &Value) -> Vec<Condition> {
        let alternatives = self.alternatives(schema);
        let value = &place.value;
        let types: Vec<_> = alternatives.iter().map(|(of, _)| of.expected()).collect();
        let tests: Vec<_> = alternatives.iter().map(|(of, _)| of.test(value)).collect();
        let quote = alternatives.iter().any(|(of, _)| *of == Type::String);
        let mut conditions = vec![Condition {
            holds: tests.join(" || "),
            says: format!(
                ": expected {}{}",
                types.join(" or "),
                if quote { "; quote it" } else { "" }
            ),
        }];
        for (of, schema) in &alternatives {
            let only = |condition: Condition| match alternatives.len() {
                1 => condition,
                _ => Condition {
                    holds: format!("(!({}) || {})", of.test(value), condition.holds),
                    ..condition
                },
            };
            conditions.extend(self.conditions(place, *of, schema).into_iter().map(only));
        }
        conditions.extend(self.rules_at(place).map(|rule| match &rule.says {
            Says::Unless(holds) => Condition {
                holds: holds.replace("self", value),
                says: format!(": {}", rule.allowed),
            },
            Says::Where(_) => panic!("{}: a scalar has no places", place.at),
        }));
        conditions
    }

    /// The conditions of a scalar of this type.
    fn conditions(&self, place: &Place, of: Type, schema: &Schema) -> Vec<Condition> {
        let value = &place.value;
        let meaning = schema.get("description").and_then(Value::as_str);
        let meaning = meaning.map(|text| format!(" ({text})")).unwrap_or_default();
        let mut conditions = Vec::new();
        let mut add = |holds: String, says: String| {
            conditions.push(Condition { holds, says: format!(": {says}") });
        };
        let bounds = ["minimum", "maximum"].map(|name| schema.get(name).and_then(Value::as_f64));
        if let [Some(least), Some(most)] = bounds {
            let kind = if of == Type::Integer { "a whole number" } else { "a number" };
            add(
                format!("double({value}) >= {least:?} && double({value}) <= {most:?}"),
                format!("expected {kind} from {least} to {most}"),
            );
        } else if bounds.iter().any(Option::is_some) {
            panic!("{}: a number with one bound", place.at);
        }
        if of == Type::Integer {
            add(
                format!("double(int({value})) == double({value})"),
                "expected a whole number".to_owned(),
            );
        }
        match schema.get("enum").or(schema.get("const")) {
            Some(Value::Array(values)) => {
                let values: Vec<_> = values.iter().filter_map(Value::as_str).collect();
                add(
                    format!("{value} in {}", list(&values)),
                    format!("{} is allowed here", values.join(" or ")),
                );
            }
            Some(Value::String(only)) => {
                add(format!("{value} == {}", literal(only)), format!("{only} is allowed here"));
            }
            Some(other) => panic!("{}: {other} is no string", place.at),
            None => {}
        }
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
            add(
                format!("{value}.matches({})", literal(pattern)),
                format!("expected {pattern}{meaning}"),
            );
        }
        if let Some(least) = schema.get("minLength").and_then(Value::as_u64) {
            let says = match least {
                1 => "an empty string is not allowed here".to_owned(),
                _ => format!("expected at least {least} characters"),
            };
            add(format!("{value}.size() >= {least}"), says);
        }
        if let Some(most) = schema.get("maxLength").and_then(Value::as_u64) {
            add(format!("{value}.size() <= {most}"), format!("expected at most {most} characters"));
        }
        conditions
    }

    /// The forms that a value may have, one for each type.
    fn alternatives(&self, schema: &Value) -> Vec<(Type, Schema)> {
        let mut flat = self.flat(schema);
        let mut alternatives: Vec<(Type, Schema)> = Vec::new();
        if let Some(Value::Array(schemas)) = flat.remove("anyOf").or(flat.remove("oneOf")) {
            for (of, schema) in schemas.iter().flat_map(|schema| self.alternatives(schema)) {
                match alternatives.iter_mut().find(|(known, _)| *known == of) {
                    Some((_, known)) => unite(known, &schema),
                    None => alternatives.push((of, schema)),
                }
            }
            return alternatives;
        }
        let types = match flat.remove("type") {
            Some(Value::Array(names)) => names,
            Some(name) => vec![name],
            None if flat.contains_key("enum") || flat.contains_key("const") => {
                vec!["string".into()]
            }
            None => panic!("a schema without a type: {flat:?}"),
        };
        let of = |name: &Value| Type::of(name.as_str().unwrap_or_default());
        types.iter().map(|name| (of(name), flat.clone())).collect()
    }

    /// Without references. A keyword that nothing is made of stops it, since it would be lost.
    fn flat(&self, schema: &Value) -> Schema {
        let mut flat = Schema::new();
        for (keyword, value) in schema.as_object().expect("a schema is an object") {
            match keyword.as_str() {
                "$ref" => {
                    let place = value.as_str().unwrap_or_default().trim_start_matches('#');
                    let target = self.document.pointer(place).expect("a reference leads somewhere");
                    flat.extend(self.flat(target));
                }
                "allOf" => {
                    let schemas = value.as_array().into_iter().flatten();
                    schemas.for_each(|schema| flat.extend(self.flat(schema)));
                }
                "type"
                | "properties"
                | "required"
                | "additionalProperties"
                | "maxProperties"
                | "propertyNames"
                | "items"
                | "minItems"
                | "maxItems"
                | "pattern"
                | "minLength"
                | "maxLength"
                | "minimum"
                | "maximum"
                | "enum"
                | "const"
                | "anyOf"
                | "oneOf" => {
                    flat.insert(keyword.clone(), value.clone());
                }
                told if TOLD.contains(&told) => {
                    flat.insert(keyword.clone(), value.clone());
                }
                other => panic!("no expression is made of the keyword {other}"),
            }
        }
        flat
    }

    fn rules_at<'b>(&'b self, place: &'b Place) -> impl Iterator<Item = &'b Rule> {
        self.rules.iter().filter(|rule| match rule.at.strip_prefix("**") {
            Some(end) => place.at.ends_with(end),
            None => rule.at == place.at,
        })
    }
}

impl Type {
    fn of(name: &str) -> Self {
        match name {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "null" => Self::Null,
            other => panic!("no type is called {other}"),
        }
    }

    fn is_scalar(self) -> bool {
        !matches!(self, Self::Object | Self::Array)
    }

    /// Whether a value is of this type. Numbers of JSON are of two types in CEL.
    fn test(self, value: &str) -> String {
        let of = |name| format!("type({value}) == {name}");
        match self {
            Self::Object => of("map"),
            Self::Array => of("list"),
            Self::String => of("string"),
            Self::Boolean => of("bool"),
            Self::Integer | Self::Number => format!("({} || {})", of("int"), of("double")),
            Self::Null => of("null_type"),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "a list",
            Self::String => "a string",
            Self::Boolean => "true or false",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Null => "null",
        }
    }
}

/// The place of a field whose name is in a variable.
fn in_variable(place: &Place, name: &str, variable: &str) -> Place {
    Place {
        at: format!("{}.{name}", place.at),
        value: format!("{}[{variable}]", place.value),
        depth: place.depth + 1,
    }
}

fn prefixed(wrong: &str, step: &str) -> String {
    match wrong {
        NOTHING => NOTHING.to_owned(),
        _ => format!("({wrong}).map(wrong, {step} + wrong)"),
    }
}

/// Of what is wrong with the items of a list, what is wrong with the first of them.
fn first_of(all: &str, variable: &str, wrong: &str) -> String {
    let lists = format!("{all}.map({variable},\n{}\n)", indented(wrong));
    format!("{lists}.filter(wrong, wrong.size() > 0)[?0].orValue([])")
}

fn if_there(object: &str, name: &str, wrong: &str) -> String {
    let test = match is_identifier(name) {
        true => format!("has({object}.{name})"),
        false => format!("{} in {object}", literal(name)),
    };
    format!("!({test}) ? [] :\n{}", indented(wrong))
}

fn member(object: &str, name: &str) -> String {
    match is_identifier(name) {
        true => format!("{object}.{name}"),
        false => format!("{object}[{}]", literal(name)),
    }
}

/// Of the words that CEL keeps for itself only `in` is a likely field.
fn is_identifier(name: &str) -> bool {
    name != "in" && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// What a rule finds wrong at a place whose structure is right.
fn rule_of_place(rule: &Rule, place: &Place) -> String {
    let Rule { says, allowed, .. } = rule;
    let value = &place.value;
    match says {
        Says::Unless(holds) => {
            let holds = holds.replace("self", value);
            format!("({holds} ? [] :\n  [{}])", literal(&format!(": {allowed}")))
        }
        Says::Where(places) => {
            let places = places.replace("self", value);
            format!("({places})\n  .map(place, place + {})", literal(&format!(": {allowed}")))
        }
    }
}

/// The names of an object's fields.
fn names(schema: &Schema) -> Vec<&str> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

fn texts(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Two forms of one type: strings, or objects. A field of either is a field of both, so what may
/// stand together is a rule's to say.
fn unite(one: &mut Schema, other: &Schema) {
    if let (Some(Value::Object(fields)), Some(Value::Object(more))) =
        (one.get_mut("properties"), other.get("properties"))
    {
        fields.extend(more.clone());
        let both = texts(other.get("required"));
        let required = texts(one.get("required")).into_iter().filter(|name| both.contains(name));
        let required: Vec<_> = required.map(Value::from).collect();
        one.insert("required".to_owned(), required.into());
        return;
    }
    let values = |schema: &Schema| match (schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(values)), None) => values.clone(),
        (None, Some(only)) => vec![only.clone()],
        _ => panic!("two forms of one type: {schema:?}"),
    };
    let both = [values(one), values(other)].concat();
    one.remove("const");
    one.insert("enum".to_owned(), both.into());
}

/// The place of the first item that a condition does not hold for, in a list; there must be one.
///
/// The API server's evaluator (`CostTracker` of cel-go) looks through all that a loop has left behind
/// whenever something in it is not evaluated or not where it is looked for first: by `?:`, `&&`,
/// `||`, and so by `filter`, `all` and `exists`. Such loops take the square of their length; `map`
/// does not.
pub(super) fn first_without(list: &str, variable: &str, step: &str, holds: &str) -> String {
    format!("[{list}[{list}.map({variable}, {holds}).indexOf(false)]].map({variable}, {step})")
}

/// The step of a path to an item of a list; of equal items to the first.
pub(super) fn index(list: &str, item: &str) -> String {
    format!("'[' + string({list}.indexOf({item})) + ']'")
}

/// A list with what is wrong where the first condition fails.
fn chain(conditions: &[Condition]) -> String {
    conditions.iter().rev().fold(NOTHING.to_owned(), |otherwise, Condition { holds, says }| {
        format!("!({holds}) ? [{}] :\n{otherwise}", literal(says))
    })
}

fn join(lists: impl IntoIterator<Item = String>) -> String {
    let lists: Vec<_> = lists.into_iter().filter(|list| list != NOTHING).collect();
    if lists.is_empty() { NOTHING.to_owned() } else { lists.join("\n+ ") }
}

/// The step of a path to the field of a map: `.name`, or `["any name"]`.
pub(super) fn step(key: &str) -> String {
    format!("({key}.matches('^\\\\w+$') ? '.' + {key} : '[' + strings.quote({key}) + ']')")
}

pub(super) fn list(values: &[&str]) -> String {
    let literals: Vec<_> = values.iter().map(|value| literal(value)).collect();
    format!("[{}]", literals.join(", "))
}

/// A string of CEL.
pub(super) fn literal(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| match c {
            '\\' | '\'' => format!("\\{c}"),
            c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
            c => c.to_string(),
        })
        .collect();
    format!("'{escaped}'")
}

pub(super) fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
