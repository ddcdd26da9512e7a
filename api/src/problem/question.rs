use gristmill_pipelines::Question;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a file leaves open, and who sends it can say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProblemQuestion)]
pub struct QuestionBody {
    /// The query parameter, or part of a form, that says it.
    #[schema(example = "dates")]
    pub parameter: String,
    /// What it may say, as far as that can be listed.
    #[schema(example = json!(["dmy", "mdy"]))]
    pub choices: Vec<String>,
    /// Where the file shows that it is open.
    pub examples: Vec<QuestionExample>,
}

/// A value of a file that may be read in more than one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuestionExample {
    /// Its line, from 1.
    #[schema(example = 2, minimum = 1)]
    pub line: u64,
    /// It, or the beginning of it.
    #[schema(example = "01/02/2024")]
    pub value: String,
}

impl From<Question> for QuestionBody {
    fn from(question: Question) -> Self {
        let examples = question.examples.into_iter();
        Self {
            parameter: question.parameter.to_owned(),
            choices: question.choices,
            examples: examples.map(|example| QuestionExample { line: example.line, value: example.value }).collect(),
        }
    }
}
